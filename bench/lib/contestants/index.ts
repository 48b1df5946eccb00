/**
 * Who takes part in the comparison, in the order of the table. What a contestant needs is loaded when it is opened, in its own
 * process: the others' memory is not charged for it.
 */
import { collectGarbageEarly } from '../../../dist/node/collect-garbage-early.js'
import { loadSparingly } from '../../../dist/node/load-sparingly.js'
import { optimizeLate } from '../../../dist/node/optimize-late.js'
import { isInstalled } from '../../peers/load.ts'
import type { Stack } from '../stack.ts'
import type { StoreName } from '../stores.ts'
import { type Contestant, PARTS } from './contestant.ts'

const STORES: Readonly<Record<StoreName, readonly [name: string, title: string]>> = {
  'legacy-fs': ['disk', 'legacy-fs'],
  filesystem: ['object', 'object store on a folder'],
  memory: ['memory', 'memory'],
  s3: ['s3', 'object store on S3']
}

const STACK_TITLES: Readonly<Record<Stack, string>> = {
  plain: '@libp2p/tcp and @chainsafe/libp2p-noise',
  noise: 'noise',
  tls: 'tls'
}

/** `raw-noise` is noise as js-libp2p has it: the yardstick of ours, too. */
const RAW_NAMES: Readonly<Record<Stack, string>> = {
  plain: 'raw-noise',
  noise: 'raw-own-noise',
  tls: 'raw-tls'
}

/** To be called first of all, by our own node as by a raw stream. */
function likeTheCommand(): void {
  collectGarbageEarly()
  optimizeLate()
}

async function hashLikeTheCommand(): Promise<void> {
  const { hashWide } = await import('../../../dist/node/hash-wide.js')
  hashWide()
}

export function raw(stack: Stack): Contestant {
  return {
    name: RAW_NAMES[stack],
    title: `raw libp2p stream, ${STACK_TITLES[stack]}`,
    isKept: true,
    isJavaScript: true,
    adds: false,
    parts: ['blob'],
    open: async () => {
      likeTheCommand()
      return (await loadSparingly(() => import('./raw.ts'))).openRaw(stack)
    }
  }
}

/** What an app has that uses js-libp2p and sets nothing of V8. */
const RAW_AS_IT_COMES: Contestant = {
  ...raw('plain'),
  name: 'raw-noise-unset',
  title: `${raw('plain').title}, V8 as it comes`,
  open: async () => (await import('./raw.ts')).openRaw('plain')
}

export function ours(store: StoreName, stack: Stack): Contestant {
  const [name, title] = STORES[store]
  return {
    name: `ours-${name}-${stack}`,
    title: `libp2p-blobs, ${title}, ${STACK_TITLES[stack]}`,
    isKept: store !== 'memory',
    isJavaScript: true,
    adds: true,
    parts: PARTS,
    open: async dir => {
      likeTheCommand()
      await hashLikeTheCommand()
      return (await loadSparingly(() => import('./ours.ts'))).openOurs(dir, { store, stack })
    }
  }
}

/** The same, asking for the sizes of all files first. */
export function oursAskingSizes(stack: Stack): Contestant {
  const plain = ours('legacy-fs', stack)
  return {
    ...plain,
    name: `${plain.name}-asking-sizes`,
    title: `${plain.title}, asking for sizes first`,
    open: async dir => {
      likeTheCommand()
      await hashLikeTheCommand()
      return (await loadSparingly(() => import('./ours.ts'))).openOurs(dir, {
        store: 'legacy-fs',
        stack,
        askSizes: true
      })
    }
  }
}

function iroh(store: 'disk' | 'memory'): Contestant {
  return {
    name: `iroh-${store}`,
    title: `iroh-blobs 0.35, ${store === 'disk' ? 'persistent' : 'memory'}`,
    packages: ['@number0/iroh'],
    isKept: store === 'disk',
    isJavaScript: false,
    adds: true,
    parts: PARTS,
    open: async dir => (await import('./iroh.ts')).openIroh(dir, store === 'disk')
  }
}

const WEBTORRENT: Contestant = {
  name: 'webtorrent',
  title: 'webtorrent 3',
  packages: ['webtorrent'],
  isKept: true,
  isJavaScript: true,
  adds: true,
  parts: ['blob'],
  open: async dir => (await import('./webtorrent.ts')).openWebTorrent(dir)
}

const HYPERCORE: Contestant = {
  name: 'hypercore',
  title: 'hypercore 11, hyperblobs 2, blocks of 1 MiB',
  packages: ['hypercore', 'hyperblobs', '@hyperswarm/secret-stream'],
  isKept: true,
  isJavaScript: true,
  adds: true,
  parts: PARTS,
  open: async dir => (await import('./hypercore.ts')).openHypercore(dir)
}

const HELIA: Contestant = {
  name: 'helia',
  title: 'Helia 7, bitswap',
  packages: ['helia', '@helia/bitswap', '@helia/libp2p', '@helia/unixfs', 'blockstore-fs'],
  isKept: true,
  isJavaScript: true,
  adds: true,
  parts: PARTS,
  open: async dir => (await import('./helia.ts')).openHelia(dir)
}

export const CONTESTANTS: readonly Contestant[] = [
  raw('plain'),
  RAW_AS_IT_COMES,
  raw('noise'),
  raw('tls'),
  ours('legacy-fs', 'plain'),
  ours('legacy-fs', 'noise'),
  ours('legacy-fs', 'tls'),
  ours('filesystem', 'noise'),
  ours('filesystem', 'tls'),
  ours('memory', 'noise'),
  ours('memory', 'tls'),
  iroh('disk'),
  iroh('memory'),
  WEBTORRENT,
  HYPERCORE,
  HELIA
]

/** Those that only other benchmarks ask for. */
const MORE: readonly Contestant[] = [
  ours('filesystem', 'plain'),
  ours('memory', 'plain'),
  ours('s3', 'plain'),
  ours('s3', 'noise'),
  ours('s3', 'tls'),
  oursAskingSizes('plain'),
  oursAskingSizes('noise'),
  oursAskingSizes('tls')
]

/** Packages of the contestant that are not installed. */
export function missingPackages({ packages = [] }: Contestant): readonly string[] {
  return packages.filter(name => !isInstalled(name))
}

export function isPeer({ packages }: Contestant): boolean {
  return packages !== undefined
}

/** @throws RangeError listing the names, when there is none of this name */
export function contestantOf(name: string): Contestant {
  const all = [...CONTESTANTS, ...MORE]
  const found = all.find(contestant => contestant.name === name)
  if (found !== undefined) return found
  throw new RangeError(
    `there is no contestant "${name}"; there are: ${all.map(({ name }) => name).join(', ')}`
  )
}
