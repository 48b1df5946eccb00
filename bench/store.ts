/**
 * The default store on this machine's disk, in turn with what the file system alone takes for the same bytes.
 *
 *   node bench/store.ts [--mib 512] [--runs 5] [--dir FOLDER] [WORD…]     only trials whose names contain one of the words
 *
 * Files are made anew for each run, and removed outside of the time that is taken. What is read comes from the page cache.
 */
import { copyFile, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  ChunkRanges,
  Decoder,
  encode,
  GROUP_BYTES,
  hashBytes,
  RUN_BYTES,
  readVerified,
  type Verified
} from '../dist/bao/index.js'
import type { BlobReader } from '../dist/store/index.js'
import { LegacyFsStore } from '../dist/store/legacy-fs/index.js'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { type Measurement, selectNamed, toTable } from './lib/trial.ts'

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    mib: { type: 'string', default: '512' },
    runs: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() }
  }
})
const BYTES = Number(options.mib) * 1024 * 1024
const SMALL_BLOBS = 1000
const SMALL_BYTES = 4096
const READS = 4096

const home = await mkdtemp(join(options.dir, 'bench-store-'))
const file = join(home, 'blob')
const data = pseudoRandom(BYTES)
await writeFile(file, data)
const { hash, outboard } = hashBytes(data)
const batches = await verifiedBatches()
const filled = await LegacyFsStore.open(join(home, 'filled'))
await filled.addPath(file)

interface StoreTrial {
  readonly name: string
  readonly bytes: number
  /** @param folder empty, and removed afterwards */
  run(folder: string): Promise<void>
}

const trials: readonly StoreTrial[] = [
  {
    name: 'copy and fsync',
    bytes: BYTES,
    run: async folder => {
      await copyFile(file, join(folder, 'copy'))
      await synced(join(folder, 'copy'))
    }
  },
  { name: 'addPath', bytes: BYTES, run: folder => withStore(folder, 'full', store => store.addPath(file)) },
  {
    name: 'addPath, sync none',
    bytes: BYTES,
    run: folder => withStore(folder, 'none', store => store.addPath(file))
  },
  {
    name: 'addStream',
    bytes: BYTES,
    run: folder => withStore(folder, 'full', store => store.addStream(stream()))
  },
  {
    name: 'write and fsync',
    bytes: BYTES,
    run: async folder => {
      const target = await open(join(folder, 'written'), 'wx')
      for (let at = 0; at < BYTES; at += RUN_BYTES) await target.write(data, at, RUN_BYTES, at)
      await target.sync()
      await target.close()
    }
  },
  { name: 'writer', bytes: BYTES, run: folder => withStore(folder, 'full', receive) },
  { name: 'writer, sync none', bytes: BYTES, run: folder => withStore(folder, 'none', receive) },
  {
    name: 'random reads of a group, unchecked',
    bytes: READS * GROUP_BYTES,
    run: () =>
      withReader(
        async (reader, group) => await reader.readData(group * GROUP_BYTES, new Uint8Array(GROUP_BYTES))
      )
  },
  {
    name: 'random reads of a group, checked',
    bytes: READS * GROUP_BYTES,
    run: () =>
      withReader(async (reader, group) => {
        for await (const _piece of readVerified(
          hash,
          reader,
          ChunkRanges.range(group * 16, (group + 1) * 16)
        ));
      })
  },
  {
    name: `add ${SMALL_BLOBS} blobs of ${SMALL_BYTES} bytes`,
    bytes: SMALL_BLOBS * SMALL_BYTES,
    run: folder => withStore(folder, 'full', addSmall)
  },
  {
    name: `add ${SMALL_BLOBS} blobs of ${SMALL_BYTES} bytes, sync none`,
    bytes: SMALL_BLOBS * SMALL_BYTES,
    run: folder => withStore(folder, 'none', addSmall)
  }
]

async function measure(selected: readonly StoreTrial[]): Promise<Measurement[]> {
  const speeds = selected.map((): number[] => [])
  for (let run = -1; run < Number(options.runs); run++) {
    for (const [i, trial] of selected.entries()) {
      const folder = await mkdtemp(join(home, 'run-'))
      const start = performance.now()
      await trial.run(folder)
      const seconds = (performance.now() - start) / 1000
      await rm(folder, { recursive: true })
      // The first round warms up.
      if (run >= 0) speeds[i]!.push(trial.bytes / 1e6 / seconds)
    }
  }
  return selected.map(({ name }, i) => ({ name, speeds: speeds[i]!.toSorted((a, b) => a - b) }))
}

async function withStore(
  folder: string,
  sync: 'full' | 'none',
  use: (store: LegacyFsStore) => Promise<unknown>
): Promise<void> {
  await using store = await LegacyFsStore.open(folder, { sync })
  await use(store)
}

async function receive(store: LegacyFsStore): Promise<void> {
  const writer = await store.writer(hash, BYTES)
  for (const verified of batches) await writer.write(verified)
  const { state } = await writer.close()
  if (state !== 'complete') throw new Error(`the blob is ${state}`)
}

async function addSmall(store: LegacyFsStore): Promise<void> {
  const adds = Array.from({ length: SMALL_BLOBS }, (_, i) =>
    store.addBytes(data.subarray(i * SMALL_BYTES, (i + 1) * SMALL_BYTES))
  )
  await Promise.all(adds)
}

async function withReader(read: (reader: BlobReader, group: number) => Promise<void>): Promise<void> {
  await using reader = await filled.open(hash)
  if (reader === undefined) throw new Error('the blob is not there')
  const groups = BYTES / GROUP_BYTES
  for (let i = 0; i < READS; i++) await read(reader, (i * 7919) % groups)
}

async function* stream(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < BYTES; at += 65_536) yield data.subarray(at, at + 65_536)
}

async function synced(path: string): Promise<void> {
  const target = await open(path, 'r+')
  await target.sync()
  await target.close()
}

/** What a getter's decoder hands out, in steps of about 1 MiB. */
async function verifiedBatches(): Promise<Verified[]> {
  const fill = (from: Uint8Array) => async (offset: number, target: Uint8Array) =>
    target.set(from.subarray(offset, offset + target.length))
  const source = { size: BYTES, readData: fill(data), readOutboard: fill(outboard) }
  const decoder = new Decoder(hash, BYTES, ChunkRanges.all)
  const found: Verified[] = []
  for await (const piece of encode(hash, source, ChunkRanges.all, { batchBytes: RUN_BYTES })) {
    found.push(decoder.decode(piece))
  }
  return found
}

function pseudoRandom(bytes: number): Uint8Array {
  const words = new Uint32Array(bytes / 4)
  let state = 1
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    words[i] = state
  }
  return new Uint8Array(words.buffer)
}

try {
  const measurements = await measure(selectNamed(trials as never, words) as never)
  console.log(`${describeMachine()}; ${describeLoad()}; ${options.mib} MiB, ${options.runs} runs\n`)
  console.log(toTable(measurements, 'copy and fsync'))
} finally {
  await filled.close()
  await rm(home, { recursive: true })
}
