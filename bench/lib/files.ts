/** Files to measure with. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const MIB = 1024 * 1024

/** Bytes that do not repeat: a stream cipher's worth of noise, made once. */
export async function makeFile(path: string, mib: number): Promise<void> {
  await makeFileOf(path, mib * MIB)
}

/** The same of any number of bytes. */
export async function makeFileOf(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w')
  const seed = randomBytes(MIB)
  for (let i = 0; i * MIB < bytes; i++) {
    seed.set(createHash('sha512').update(String(i)).digest(), (i * 977) % (MIB - 64))
    await file.write(seed, 0, Math.min(MIB, bytes - i * MIB))
  }
  await file.close()
}

/** A folder of small files, each with bytes of its own. */
export async function makeFolder(folder: string, files: number, bytes: number): Promise<void> {
  await mkdir(folder)
  for (let i = 0; i < files; i++) {
    await writeFile(join(folder, `file-${String(i).padStart(7, '0')}`), randomBytes(bytes))
  }
}
