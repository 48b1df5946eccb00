/**
 * Adds a file to a store, and leaves all open: also the threads, which no longer end by themselves. Arguments: the file, the store's folder,
 * `started-threads`, `no-threads` or `threads-that-fail`. Says the hash, and how many threads were started.
 */

import { IDLE_MS } from '../../../src/store/hash-pool/constants.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { startPool } from './support.ts'

const [path, folder, mode] = process.argv.slice(2)
const { setTimeout } = globalThis
const patiently = (callback: () => void, ms?: number) => setTimeout(callback, ms === IDLE_MS ? 1e9 : ms)
globalThis.setTimeout = Object.assign(patiently, setTimeout)

let threads = 0
process.on('worker', worker => {
  threads++
  if (mode === 'threads-that-fail') void worker.terminate()
})

if (mode === 'started-threads') await startPool()
const store = await LegacyFsStore.open(folder!)
const { hash } = await store.addPath(path!)
console.log(`${hash} ${threads}`)
