/**
 * Adds small blobs, many at a time, for ever: to be killed. Tells the hash of each that has been added, to a file: what goes into a pipe
 * has to wait for who reads it. Arguments: the folder of the store, and that file.
 */
import { appendFileSync } from 'node:fs'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'

const AT_A_TIME = 150

const [folder, told] = process.argv.slice(2)
const store = await LegacyFsStore.open(folder!)
for (let round = 0; ; round++) {
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async (_, i) => {
      const text = `${process.pid} ${round} ${i}`.repeat(1 + (i % 100))
      const { hash } = await store.addBytes(new TextEncoder().encode(text))
      appendFileSync(told!, `${hash}\n`)
    })
  )
}
