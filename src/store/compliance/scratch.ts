/** A folder for the files of one test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Scratch extends AsyncDisposable {
  path(name: string): string
  readonly folder: string
}

export async function scratch(): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'blob-store-'))
  return {
    folder,
    path: name => join(folder, name),
    [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true })
  }
}
