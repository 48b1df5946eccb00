/**
 * Writes objects in every way, for ever: to be killed. Arguments: the folder, a seed. Says `ready` when it has begun.
 *
 * An object is a stretch of the pool that begins at the place its first four bytes tell, so that anybody can check it.
 */
import { FilesystemStorage } from '../../../../../src/store/object/storage/filesystem/index.ts'
import { uploadStream } from '../../../../../src/store/object/storage/put-stream.ts'
import { bytes, MIB, streamOf } from '../suite/support.ts'

const [folder, seedText] = process.argv.slice(2)
let state = Number(seedText) + 1
const random = (below: number): number => {
  state = (state * 48_271) % 0x7fff_ffff
  return state % below
}

const KEYS = ['a', 'b/c', 'b/d', 'b/e/f', 'g/h/i']
const key = () => KEYS[random(KEYS.length)]!

function content(): Uint8Array {
  const seed = random(100)
  return Buffer.concat([Uint8Array.of(seed), bytes(random([100, 70_000, 9 * MIB][random(3)]!), seed)])
}

const storage = await FilesystemStorage.open(folder!)
console.log('ready')
for (;;) {
  const data = content()
  const steps = [
    () => storage.put(key(), [data]),
    () => uploadStream(storage, key(), streamOf(data)),
    () => storage.move(key(), key()),
    async () => {
      const from = key()
      const info = await storage.stat(from)
      if (info !== undefined) await storage.compose(key(), [{ key: from, offset: 0, length: info.size }])
    },
    () => storage.delete([key(), key()])
  ]
  try {
    await Promise.all([steps[random(5)]!(), steps[random(5)]!()])
  } catch (error) {
    // Another one, or the step beside, may have deleted or replaced what was to be moved.
    const isExpected = error instanceof Error && /no object|it has \d|become shorter/.test(error.message)
    if (!isExpected) throw error
  }
}
