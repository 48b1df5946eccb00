import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { IdentityError, loadOrCreateIdentity } from '../../src/node/identity.ts'
import { StoreError } from '../../src/store/errors.ts'
import { scratch } from './support.ts'

const run = promisify(execFile)
const MODULE = new URL('../../src/node/identity.ts', import.meta.url).href

describe('the identity', () => {
  it('is made once, kept, and readable by its owner only', async () => {
    await using folder = await scratch()
    const path = folder.in('identity.key')
    const made = await loadOrCreateIdentity(path)
    expect(made.type).toBe('Ed25519')
    expect((await loadOrCreateIdentity(path)).equals(made)).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder.path)).toEqual(['identity.key'])
  })

  it('is the same for processes that make it at the same moment', async () => {
    await using folder = await scratch()
    const path = folder.in('identity.key')
    const script = `
      const { loadOrCreateIdentity } = await import(${JSON.stringify(MODULE)})
      const { existsSync } = await import('node:fs')
      const [, path, go] = process.argv
      console.log('ready')
      while (!existsSync(go));
      const key = await loadOrCreateIdentity(path)
      console.log(Buffer.from(key.raw).toString('hex'))`
    const go = folder.in('go')
    const makers = Array.from({ length: 4 }, () => {
      const running = run(process.execPath, ['--input-type=module', '-e', script, path, go])
      return { running, isReady: once(running.child.stdout!, 'data') }
    })
    await Promise.all(makers.map(({ isReady }) => isReady))
    await writeFile(go, '')
    const keys = await Promise.all(makers.map(({ running }) => running))
    expect(new Set(keys.map(({ stdout }) => stdout)).size).toBe(1)
    expect(keys[0]?.stdout).toMatch(/^ready\n[0-9a-f]{128}\n$/)
    expect((await readdir(folder.path)).sort()).toEqual(['go', 'identity.key'])
  })

  it('that others can read is made private, with a warning', async () => {
    await using folder = await scratch()
    const path = folder.in('identity.key')
    const made = await loadOrCreateIdentity(path)
    await chmod(path, 0o644)
    const warnings: string[] = []
    const key = await loadOrCreateIdentity(path, { onWarning: text => warnings.push(text) })
    expect(key.equals(made)).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(path)
  })

  it.each([
    ['text', 'not a key'],
    ['nothing', '']
  ])('of %s is refused and not replaced', async (_, content) => {
    await using folder = await scratch()
    const path = folder.in('identity.key')
    await writeFile(path, content, { mode: 0o600 })
    await expect(loadOrCreateIdentity(path)).rejects.toThrow(IdentityError)
    expect(await readFile(path, 'utf8')).toBe(content)
  })

  it('in a folder that is not there is an error that names it', async () => {
    await using folder = await scratch()
    const making = loadOrCreateIdentity(folder.in('nowhere', 'identity.key'))
    await expect(making).rejects.toThrow(StoreError)
    await expect(making).rejects.toThrow('nowhere')
  })
})
