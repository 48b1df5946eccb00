/** V8 does what it is told: its space for new objects is as large as it should be, and whatever lasts is made there all the same. */
import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

const MODULE = new URL('../../src/node/collect-garbage-early.ts', import.meta.url).href

/** Makes many objects at one place, which last for a while, and tells how large the space for new objects has become. */
const PROGRAM = `
  function make(i) { return { offset: i, bytes: [i] } }
  let held = []
  for (let i = 0; i < 1_000_000; i++) {
    if (held.length === 200_000) held = []
    held.push(make(i))
  }
  const { getHeapSpaceStatistics } = await import('node:v8')
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  console.log('new space', space.space_size)
`

interface Told {
  /** Of the space for new objects. */
  readonly mib: number
  /** Whether V8 counts which places make objects that last, to make them among the old ones. */
  readonly asksWhatLasts: boolean
}

function run(program: string): Told {
  const args = ['--trace-pretenuring-statistics', '--input-type=module', '-e', program]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 })
  // Where V8 does not know an option, it says so there.
  expect(stderr).toBe('')
  const [, bytes] = /^new space (\d+)$/m.exec(stdout) ?? []
  return { mib: Number(bytes) / 1024 / 1024, asksWhatLasts: /pretenuring: AllocationSite/.test(stdout) }
}

describe('collectGarbageEarly', () => {
  it('keeps the space for new objects small, and has all of them made there', () => {
    const usual = run(PROGRAM)
    const early = run(`import { collectGarbageEarly } from '${MODULE}'; collectGarbageEarly();${PROGRAM}`)
    expect(usual.asksWhatLasts).toBe(true)
    expect(early.asksWhatLasts).toBe(false)
    expect(usual.mib).toBeGreaterThanOrEqual(16)
    expect(early.mib).toBeGreaterThanOrEqual(4)
    // While objects last, it may take a little more for a moment.
    expect(early.mib).toBeLessThan(16)
  })
})
