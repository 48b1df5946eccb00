/** The names in the data folder, some at a time, without holding up the others for long. */
import type { Dir } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { Breather } from '../../breather.ts'
import { explained } from '../../fs-errors.ts'
import type { Layout } from '../layout.ts'

/** Entries that the system is asked for at once. */
const ENTRIES = 1024

/** Entries between two looks at the clock. */
export const BATCH = 64

/** At most {@link BATCH} at a time. */
export async function* namesIn({ dataFolder }: Layout): AsyncGenerator<readonly string[], void, undefined> {
  const what = `cannot list ${dataFolder}`
  const folder = await explained(what, () => opendir(dataFolder, { bufferSize: ENTRIES }))
  try {
    const breather = new Breather(undefined)
    for (;;) {
      const names = await explained(what, async () => nextNames(folder))
      if (names.length === 0) return
      yield names
      await breather.breathe()
    }
  } finally {
    await folder.close()
  }
}

function nextNames(folder: Dir): string[] {
  const names: string[] = []
  while (names.length < BATCH) {
    const entry = folder.readSync()
    if (entry === null) break
    names.push(entry.name)
  }
  return names
}
