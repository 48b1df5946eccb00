/** How other commands find the node that is serving a home: a file that lives as long as the node. */
import { randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { explained, isNotFound } from '../store/fs-errors.ts'
import { isRunning } from '../store/processes.ts'

const FILE = 'serving.json'

const servingSchema = z.object({ pid: z.int().positive(), peerId: z.string(), addrs: z.array(z.string()) })

/** A node that is serving. */
export type Serving = z.output<typeof servingSchema>

/**
 * Says that this process is serving the home.
 *
 * @returns takes it back
 */
export async function announceServing(
  home: string,
  { peerId, addrs }: { readonly peerId: string; readonly addrs: readonly string[] }
): Promise<() => Promise<void>> {
  const path = join(home, FILE)
  const temp = `${path}.${randomBytes(6).toString('hex')}.part`
  await explained(`cannot write ${path}`, async () => {
    await writeFile(temp, JSON.stringify({ pid: process.pid, peerId, addrs }))
    await rename(temp, path)
  })
  return async () => {
    // Another process may have begun to serve the same home since.
    if ((await findServing(home))?.pid === process.pid) await rm(path, { force: true })
  }
}

/** The node that is serving the home; undefined when there is none. */
export async function findServing(home: string): Promise<Serving | undefined> {
  const path = join(home, FILE)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
  const serving = servingSchema.safeParse(parseJson(text))
  return serving.success && isRunning(serving.data.pid) ? serving.data : undefined
}

/** What cannot be read was not written by a node that is running. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
