/** Files to measure with. */
import { createHash, randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'

const MIB = 1024 * 1024

/** Bytes that do not repeat: a stream cipher's worth of noise, made once. */
export async function makeFile(path: string, mib: number): Promise<void> {
  const file = await open(path, 'w')
  const seed = randomBytes(MIB)
  for (let i = 0; i < mib; i++) {
    seed.set(createHash('sha512').update(String(i)).digest(), (i * 977) % (MIB - 64))
    await file.write(seed)
  }
  await file.close()
}
