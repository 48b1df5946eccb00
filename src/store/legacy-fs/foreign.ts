/**
 * Folders that iroh-blobs has written: `blobs.db` and `data/`, in the folder itself or in `blobs/` below it.
 *
 * We read what lies there as files, and leave `blobs.db` alone. What is inside it we cannot read: blobs of up to 16 KiB,
 * outboards of up to 16 KiB (they are computed anew), tags, and where files lie that were added by reference.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hash } from '../../hash.ts'
import { statIfThere } from '../stats.ts'
import type { Layout } from './layout.ts'

const DATABASE = 'blobs.db'

/** Where in `folder` the blobs are, and whether iroh-blobs has put them there. */
export async function findRoot(folder: string): Promise<{ root: string; isForeign: boolean }> {
  for (const root of [folder, join(folder, 'blobs')]) {
    if (statIfThere(join(root, DATABASE)) !== undefined) return { root, isForeign: true }
  }
  return { root: folder, isForeign: false }
}

/** What to tell the user about such a folder. */
export function foreignNotice(root: string): string {
  return (
    `${join(root, DATABASE)} belongs to iroh-blobs and cannot be read: blobs of up to 16 KiB, tags, and blobs that were added ` +
    'by reference are not served from here until they are added again; do not let iroh-blobs run on this folder meanwhile'
  )
}

/** Removes what iroh-blobs holds of a blob in part, if it does, to make room for the complete blob. */
export async function removeForeignPartial(layout: Layout, hash: Hash): Promise<void> {
  const markers = layout.foreignMarkers(hash)
  if (markers.length === 0) return
  const found = await Promise.all(markers.map(statIfThere))
  if (found.every(marker => marker === undefined)) return
  // As long as a marker is there, the data is partial: it goes first.
  await rm(layout.data(hash), { force: true })
  for (const marker of markers) await rm(marker, { force: true })
}
