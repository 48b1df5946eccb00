/** The package as it is published: what its README links to comes with it, or is said to be in the repository. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')

it('has what its README links to', () => {
  const { files }: { files: string[] } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const links = [
    ...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(
      /\]\((?!https?:|#)([^)#]+)[^)]*\)( in the repository)?/g
    )
  ]
  expect(links.length).toBeGreaterThan(10)
  for (const [, path = '', elsewhere] of links) {
    expect(existsSync(join(ROOT, path)), path).toBe(true)
    const isPublished = files.some(file => path === file || path.startsWith(`${file}/`))
    expect(isPublished, `${path} is published`).toBe(elsewhere === undefined)
  }
})
