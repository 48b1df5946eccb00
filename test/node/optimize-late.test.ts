import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'

const MODULE = new URL('../../src/node/optimize-late.ts', import.meta.url).href

/** Calls a function often, and pauses so that compilers come round: on a busy machine, late. */
function busy(turns: number): string {
  return `
  let sum = 0
  function hotOne(n) { sum += (n * 5) % 7; return sum }
  for (let turn = 0; turn < ${turns}; turn++) {
    for (let i = 0; i < 2_000; i++) hotOne(i)
    await new Promise(resolve => setTimeout(resolve, 1))
  }`
}

/** The compilers that were done with the function, as V8 tells, up to the second one; and what went to standard error. */
async function compiled(program: string): Promise<{ by: readonly string[]; stderr: string }> {
  const args = ['--trace-opt', '--no-use-osr', '--input-type=module', '-e', program]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 })
  const stderr = text(child.stderr)
  const by = new Set<string>()
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name] = /completed compiling .*hotOne.*(MAGLEV|TURBOFAN)/.exec(line) ?? []
    if (name !== undefined) by.add(name)
    if (name === 'TURBOFAN') break
  }
  child.kill()
  return { by: [...by].sort(), stderr: await stderr }
}

describe.skipIf(Number.parseInt(process.versions.v8, 10) < 13)('optimizeLate', () => {
  it('leaves a function that is called often to the first compiler for longer', async () => {
    const [soon, late] = await Promise.all([
      compiled(busy(10_000)),
      compiled(`import { optimizeLate } from '${MODULE}'; optimizeLate();${busy(100)}`)
    ])
    expect(soon.by).toEqual(['MAGLEV', 'TURBOFAN'])
    expect(late.by).not.toContain('TURBOFAN')
    // Where V8 does not know the option, it says so there.
    expect(late.stderr).toBe('')
  })
})
