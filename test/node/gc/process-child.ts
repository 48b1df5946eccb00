/**
 * A process that keeps or forgets, to be killed. Arguments: kind of the store, folder, what to do, a number.
 *
 * | | |
 * |---|---|
 * | `hold` | protects one blob of the pool, says `held`, and lives on |
 * | `stand` | begins to delete all of the pool, says `deleting`, and stands still there |
 * | `collect` | collects garbage again and again |
 * | `work` | adds blobs with a lease, tags them, looks whether they stay, and deletes the tags. Says `lost` when they do not |
 */
import { collectGarbage } from '../../../src/node/gc/collect.ts'
import { assertComplete } from '../../../src/store/compliance/checks.ts'
import { streamOf } from '../../../src/store/compliance/samples.ts'
import { type Kind, openKind, POOL } from './processes.ts'

const [kind, folder, task, number] = process.argv.slice(2)
let state = Number(number) * 7919 + 1
const random = (below: number): number => {
  state = (state * 48_271) % 0x7fff_ffff
  return state % below
}

const store = await openKind(kind as Kind, folder!)
// Nothing else would keep the process alive.
setInterval(() => undefined, 1000)

const tasks: Record<string, () => Promise<void>> = {
  hold: async () => {
    const lease = await store.lease()
    await lease.protect({ hash: POOL[Number(number)]!.hash, format: 'raw' })
    console.log('held')
  },
  stand: async () => {
    const sweep = await store.sweep()
    await Array.fromAsync(sweep.roots())
    // Something has to come meanwhile for it to be told; and once more, as at first nobody has to wait.
    const come = () => store.tags.set('fresh', { hash: POOL[0]!.hash, format: 'raw' })
    await come()
    const hashes = POOL.map(({ hash }) => hash)
    let isFirst = true
    await sweep.delete(hashes, async () => {
      if (isFirst) {
        isFirst = false
        await come()
        return new Set()
      }
      console.log('deleting')
      return await new Promise(() => undefined)
    })
  },
  collect: async () => {
    console.log('ready')
    for (;;) await collectGarbage(store, { partialAgeMs: -1000 })
  },
  work: async () => {
    console.log('ready')
    await Promise.all([work(0), work(1)])
  }
}

async function work(part: number): Promise<void> {
  for (let round = 0; ; round++) {
    const blob = POOL[random(POOL.length)]!
    const name = `${number}/${part}/${round}`
    const value = { hash: blob.hash, format: 'raw' } as const
    await using lease = await store.lease()
    if (random(2) === 0) await store.addBytes(blob.data, { lease })
    else await store.addStream(streamOf(blob.data), { lease })
    if (random(4) === 0) continue
    await store.tags.set(name, value)
    await lease.release()
    if (random(2) === 0) await store.tags.rename(name, `${name}+`)
    // Nobody else deletes its tags: as long as they are there, so is the blob.
    for (let look = random(4); look >= 0; look--) {
      await assertComplete(store, blob).catch(error => {
        console.log('lost', String(error))
        throw error
      })
    }
    if (random(5) > 0) for (const end of ['', '+']) await store.tags.delete(`${name}${end}`)
  }
}

await tasks[task!]!()
