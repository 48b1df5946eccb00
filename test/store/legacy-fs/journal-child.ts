/** Adds small blobs, many at a time, for ever: to be killed. Tells the hash of each that has been added. Argument: the folder. */
import { writeSync } from 'node:fs'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'

const AT_A_TIME = 150

const store = await LegacyFsStore.open(process.argv[2]!)
for (let round = 0; ; round++) {
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async (_, i) => {
      const text = `${process.pid} ${round} ${i}`.repeat(1 + (i % 100))
      const { hash } = await store.addBytes(new TextEncoder().encode(text))
      writeSync(1, `${hash}\n`)
    })
  )
}
