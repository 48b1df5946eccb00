/** One contestant doing one thing, from one process to another: what is measured, whoever does it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Part } from './contestants/contestant.ts'
import { HalfProcess } from './half.ts'
import type { Spent } from './meter.ts'

/** A call that takes longer is given up. */
const TIMEOUT_MS = 120_000
/** More for each file of a folder. */
const TIMEOUT_MS_PER_FILE = 3

export interface PartSample {
  readonly added: Spent
  readonly getter: Spent
  /** From the getter's first request to its last byte. */
  readonly provider: Spent
  /** Of each fetch, in ms. */
  readonly ms: readonly number[]
}

export interface PartOptions {
  readonly part: Part
  /**
   * Who fetches.
   *
   * @default the contestant itself
   */
  readonly getter?: Contestant
  /** What is added: a file, or a folder. */
  readonly source: string
  /** What there must be in the end: bytes of the last file that was fetched, or files of the folder. */
  readonly expected: number
  /** Where the stores are made. */
  readonly dir: string
  /**
   * Whether the stores are left for the caller to remove: for minutes after many files were deleted, ext4 is slow to make new
   * ones.
   */
  readonly areStoresLeft?: boolean
  /** Folder for CPU profiles. */
  readonly profile?: string | undefined
}

/** One process adds, a second serves, a third fetches. Where nothing is kept for the second, the first serves too. */
export async function measurePart(contestant: Contestant, options: PartOptions): Promise<PartSample> {
  const { part, getter: other = contestant, source, expected, areStoresLeft = false, profile } = options
  const dir = await mkdtemp(join(options.dir, 'stores-'))
  const halves: HalfProcess[] = []
  const start = (half: 'adder' | 'provider' | 'getter'): HalfProcess => {
    const [who, store] = half === 'getter' ? [other, half] : [contestant, 'provider']
    const started = new HalfProcess(who.name, join(dir, store), {
      profile: profile === undefined ? undefined : join(profile, half),
      timeoutMs: TIMEOUT_MS + (part === 'folder' ? expected * TIMEOUT_MS_PER_FILE : 0)
    })
    halves.push(started)
    return started
  }
  try {
    const adder = start('adder')
    const { keys, spent: added } = await adder.add(part, source)
    let provider = adder
    if (contestant.isKept) {
      await adder.close()
      await adder.end()
      provider = start('provider')
    }
    const address = await provider.provide(keys[0]!)
    const getter = start('getter')
    await getter.connect(address)
    await provider.measure()
    const { count, ms, spent } = await getter.get(part, keys)
    const served = await provider.measured()
    if (count !== expected) throw new Error(`it fetched ${count} instead of ${expected}`)
    return { added, getter: spent, provider: served, ms }
  } finally {
    await Promise.all(halves.map(half => half.end()))
    if (!areStoresLeft) await rm(dir, { recursive: true, force: true })
  }
}
