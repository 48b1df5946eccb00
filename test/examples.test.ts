/** The examples, run as a reader would run them. They need dist, which `npm run build` makes. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
// Where the ready-made node keeps its key: not in the home of whoever runs the tests.
const env = { ...process.env, BLOBS_HOME: mkdtempSync(join(tmpdir(), 'blobs-examples-')) }
afterAll(() => rmSync(env.BLOBS_HOME, { recursive: true }))
const run = async (name: string, ...args: string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [join('examples', name), ...args], {
    cwd: ROOT
  })
  return stdout
}

describe('the examples', () => {
  it('own-app: two apps swap a blob', async () => {
    expect(await run('own-app.ts')).toContain('bob has 12 bytes of b5258683')
  })

  it('stream-range: little more is sent than is played', async () => {
    const [, played, sent] = /played (\d+) bytes of \d+, the provider sent (\d+)/.exec(
      await run('stream-range.ts')
    )!
    expect(Number(played)).toBe(2 * 1024 * 1024)
    expect(Number(sent)).toBeLessThan(Number(played) * 1.02)
  })

  it('serve and fetch: what the one prints as a command works', async () => {
    const serving = spawn(process.execPath, ['examples/serve.ts', '--listen', '/ip4/127.0.0.1/tcp/0'], {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'inherit']
    })
    try {
      for await (const line of createInterface({ input: serving.stdout })) {
        const command = /^npx node examples\/(fetch\.ts) (\S+)$/.exec(line)
        if (command === null) continue
        expect(await run(command[1]!, command[2]!)).toBe('Hello from libp2p-blobs!\n')
        break
      }
    } finally {
      serving.kill('SIGINT')
    }
    expect(await once(serving, 'exit')).toEqual([0, null])
  })
})
