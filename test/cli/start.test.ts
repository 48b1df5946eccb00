/** What the program loads before it does anything: each module costs time that somebody waits for. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { scratch } from '../node/support.ts'
import { ensureBuilt, Program } from './program.ts'

const PRELOAD = join(import.meta.dirname, 'note-loaded.ts')
const COMMANDS = readdirSync(resolve(import.meta.dirname, '../../src/cli/commands'))

/** One for each command, and as many again for all that they share. */
const MAX_MODULES = 2 * COMMANDS.length

async function loadedBy(
  ...args: string[]
): Promise<{ code: number | null; ours: string[]; packages: string[] }> {
  await using folder = await scratch()
  const noted = join(folder.path, 'loaded')
  const env = { NODE_OPTIONS: `--import=${PRELOAD}`, LOADED: noted }
  const { code } = await new Program(args, { cwd: folder.path, env }).ended
  const urls = readFileSync(noted, 'utf8').split('\n')
  const pick = (pattern: RegExp): string[] => urls.flatMap(url => pattern.exec(url)?.[1] ?? [])
  return {
    code,
    ours: pick(/\/dist\/((?!.*node_modules).*)$/),
    packages: [...new Set(pick(/\/node_modules\/((?:@[^/]+\/)?[^/]+)/))]
  }
}

beforeAll(ensureBuilt)

describe('the program loads next to nothing', () => {
  it.each([
    ['to show its help', ['--help'], EXIT.ok],
    ['to show its version', ['--version'], EXIT.ok],
    ['to show the help of a command', ['get', '--help'], EXIT.ok],
    ['to refuse what it does not know', ['get', '--nonsense', 'x'], EXIT.usage]
  ])('%s', async (_, args, exitCode) => {
    const { code, ours, packages } = await loadedBy(...args)
    expect(code).toBe(exitCode)
    expect(ours).toContain('cli/main.js')
    expect(ours.length).toBeLessThanOrEqual(MAX_MODULES)
    expect(packages).toEqual(['commander'])
  })

  it('until a command runs', async () => {
    const { ours, packages } = await loadedBy('ls')
    expect(ours).toContain('cli/ls.js')
    expect(packages).toContain('zod')
  })
})
