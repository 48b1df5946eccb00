/**
 * Adds a file to a store, and leaves all open. Arguments: the file, the store's folder, `started-threads`, `no-threads` or `threads-that-fail`. Says
 * the hash, how many threads were started, and, when it ends, how many ms that was after the add.
 */
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { startPool } from './support.ts'

const [path, folder, mode] = process.argv.slice(2)
let threads = 0
process.on('worker', worker => {
  threads++
  if (mode === 'threads-that-fail') void worker.terminate()
})

if (mode === 'started-threads') await startPool()
const store = await LegacyFsStore.open(folder!)
const { hash } = await store.addPath(path!)
const added = performance.now()
process.on('exit', () => console.log(`${hash} ${threads} ${performance.now() - added}`))
