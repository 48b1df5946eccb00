/** Damaging files. */
import { open } from 'node:fs/promises'

/** Flips a bit of the byte at `offset`. */
export async function flipByte(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = new Uint8Array(1)
    const { bytesRead } = await file.read(byte, 0, 1, offset)
    if (bytesRead === 0) throw new RangeError(`${path} ends before byte ${offset}`)
    await file.write(Uint8Array.of(byte[0]! ^ 1), 0, 1, offset)
  } finally {
    await file.close()
  }
}
