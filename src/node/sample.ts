/** Something to share for those who have nothing at hand. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { explained } from '../store/fs-errors.ts'

export const SAMPLE_FOLDER = 'blobs-sample'

const HELLO = `Hello!

This folder came from another node. Every piece of it was checked against the hash in the ticket while it arrived,
so not a byte in it can be other than what the sender shared.
`

/** Enough for a tree of several levels. */
const NUMBERS = 200_000

/**
 * Writes a small folder with two files, the same at any time.
 *
 * @returns its path
 */
export async function createSample(home: string): Promise<string> {
  const folder = join(home, SAMPLE_FOLDER)
  await explained(`cannot write the sample ${folder}`, async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'hello.txt'), HELLO)
    const numbers = Array.from({ length: NUMBERS }, (_, i) => `${i}\n`).join('')
    await writeFile(join(folder, 'numbers.txt'), numbers)
  })
  return folder
}
