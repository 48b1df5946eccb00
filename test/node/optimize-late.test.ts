import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const MODULE = new URL('../../src/node/optimize-late.ts', import.meta.url).href

/** Calls a function often, and pauses so that compilers come round. */
const BUSY = `
  let sum = 0
  function hotOne(n) { sum += (n * 5) % 7; return sum }
  for (let turn = 0; turn < 100; turn++) {
    for (let i = 0; i < 2_000; i++) hotOne(i)
    await new Promise(resolve => setTimeout(resolve, 1))
  }`

/** The compilers that were done with the function, as V8 tells, and what went to standard error. */
async function compiled(before: string): Promise<{ by: readonly string[]; stderr: string }> {
  const args = ['--trace-opt', '--no-use-osr', '--input-type=module', '-e', before + BUSY]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })
  const lines = stdout
    .split('\n')
    .filter(line => line.includes('completed compiling') && line.includes('hotOne'))
  return { by: ['MAGLEV', 'TURBOFAN'].filter(name => lines.some(line => line.includes(name))), stderr }
}

describe.skipIf(Number.parseInt(process.versions.v8, 10) < 13)('optimizeLate', () => {
  it('leaves a function that is called often to the first compiler for longer', async () => {
    const [soon, late] = await Promise.all([
      compiled(''),
      compiled(`import { optimizeLate } from '${MODULE}'; optimizeLate();`)
    ])
    expect(soon.by).toEqual(['MAGLEV', 'TURBOFAN'])
    expect(late.by).toEqual(['MAGLEV'])
    // Where V8 does not know the option, it says so there.
    expect(late.stderr).toBe('')
  })
})
