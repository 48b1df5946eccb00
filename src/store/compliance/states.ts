/** What each method does in each state that a store, or a blob, can be in: a result, or an error with a code. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { GROUP_BYTES } from '../../bao/constants.ts'
import { encode } from '../../bao/encoder.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { AddResult, BlobReader, BlobStore, BlobWriter, Lease, Root, Sweep, TagStore } from '../index.ts'
import { assertComplete, opened, receive } from './checks.ts'
import { groups, proven, type Sample, sample, streamOf } from './samples.ts'
import { type Scratch, scratch } from './scratch.ts'
import type { Suite } from './suite.ts'

const STATES = ['closed', 'collecting', 'deleting', 'partial', 'aborted', 'absent', 'empty'] as const

type State = (typeof STATES)[number]

/** What may come of a call. Where others do something at the same time, it may be one of several: `a or b`. */
type Outcome = string

type Row = readonly [
  /** The store has been closed. What it had opened is used. */
  closed: Outcome,
  /** The blob, which is complete, is being collected as garbage; with a tag it is not, and one that is being written is not. */
  collecting: Outcome,
  /** The blob, which is complete, is being deleted. */
  deleting: Outcome,
  /** Two groups of the blob are there. */
  partial: Outcome,
  /** The blob is complete, and the method's signal has aborted. */
  aborted: Outcome,
  /** Nothing is there, and the tag neither. */
  absent: Outcome,
  /** It is the empty blob. */
  empty: Outcome
]

/** There is no such case: the method takes no signal, or there is no such reader. */
const NONE = '–'
const CLOSED = 'ERR_STORE_CLOSED'
const GONE = 'ERR_BLOB_DELETED'
/** The signal's reason. */
const REASON = 'reason'

type MethodOf<T> = {
  [K in keyof T]: K extends string
    ? NonNullable<T[K]> extends (...args: never) => unknown
      ? K
      : never
    : never
}[keyof T]

interface Objects {
  readonly store: BlobStore
  readonly tags: TagStore
  readonly reader: BlobReader
  readonly writer: BlobWriter
  readonly lease: Lease
  readonly sweep: Sweep
}

type Kind = keyof Objects

type ForEachMethod<T> = { readonly [K in Kind]: Readonly<Record<MethodOf<Objects[K]>, T>> }

/** A method without a row here does not compile, and `test/store/states.test.ts` looks for it in the stores. */
// biome-ignore format: it is a table
export const OUTCOMES: ForEachMethod<Row> = {
  //               closed             collecting               deleting                 partial      aborted      absent       empty
  store: {
    status:       [CLOSED,            'complete or absent',    'complete or absent',    'partial',   REASON,      'absent',    'complete'],
    statusOfMany: [CLOSED,            'complete or absent',    'complete or absent',    'partial',   REASON,      'absent',    'complete'],
    open:         [CLOSED,            'reader or nothing',     'reader or nothing',     'reader',    REASON,      'nothing',   'reader'],
    writer:       [CLOSED,            'writer',                'writer',                'writer',    REASON,      'writer',    'writer'],
    addBytes:     [CLOSED,            'added',                 'added',                 'added',     REASON,      'added',     'added'],
    addStream:    [CLOSED,            'added',                 'added',                 'added',     REASON,      'added',     'added'],
    addPath:      [CLOSED,            'added',                 'added',                 'added',     REASON,      'added',     'added'],
    exportPath:   [CLOSED,            'exported or ERR_BLOB_NOT_FOUND', 'exported or ERR_BLOB_NOT_FOUND', 'ERR_BLOB_NOT_FOUND', REASON, 'ERR_BLOB_NOT_FOUND', 'exported'],
    list:         [CLOSED,            'listed or not listed',  'listed or not listed',  'listed',    REASON,      'not listed', 'not listed'],
    delete:       [CLOSED,            'deleted or nothing',    'deleted or nothing',    'deleted',   NONE,        'nothing',   'nothing'],
    // Nothing is wrong.
    reportDamage: [CLOSED,            'complete or absent',    'complete or absent',    'partial',   NONE,        'absent',    'complete'],
    observe:      [CLOSED,            'complete or absent',    'complete or absent',    'partial',   'ended',     'absent',    'complete'],
    lease:        [CLOSED,            'lease',                 'lease',                 'lease',     REASON,      'lease',     'lease'],
    sweep:        [CLOSED,            'sweep',                 'sweep',                 'sweep',     REASON,      'sweep',     'sweep'],
    usage:        [CLOSED,            'usage',                 'usage',                 'usage',     REASON,      'usage',     'usage'],
    close:        ['closed',          'closed',                'closed',                'closed',    NONE,        'closed',    'closed']
  },
  tags: {
    set:          [CLOSED,            'set',                   'set',                   'set',       NONE,        'set',       'set'],
    get:          [CLOSED,            'tag',                   'tag',                   'tag',       NONE,        'nothing',   'tag'],
    list:         [CLOSED,            'tag',                   'tag',                   'tag',       REASON,      'nothing',   'tag'],
    rename:       [CLOSED,            'renamed',               'renamed',               'renamed',   NONE,        'ERR_TAG_NOT_FOUND', 'renamed'],
    delete:       [CLOSED,            'deleted',               'deleted',               'deleted',   NONE,        'nothing',   'deleted']
  },
  reader: {
    readData:     ['ERR_HANDLE_CLOSED or ERR_STORE_CLOSED', 'read', 'read',             'read',      REASON,      NONE,        'read'],
    readDataInto: ['ERR_HANDLE_CLOSED or ERR_STORE_CLOSED', 'read', 'read',             'read',      REASON,      NONE,        'read'],
    readOutboard: ['ERR_HANDLE_CLOSED or ERR_STORE_CLOSED', 'read', 'read',             'read',      REASON,      NONE,        'read'],
    askAhead:     ['asked',           'asked',                 'asked',                 'asked',     NONE,        NONE,        'asked'],
    close:        ['closed',          'closed',                'closed',                'closed',    NONE,        NONE,        'closed']
  },
  // Of a blob of which this writer has written two groups.
  writer: {
    write:        [CLOSED,            'written',               `written or ${GONE}`,    'written',   REASON,      'written',   'written'],
    close:        ['partial',         'partial',               'partial or absent',     'partial',   NONE,        'absent',    'complete']
  },
  lease: {
    protect:      [CLOSED,            'protected',             'protected',             'protected', NONE,        'protected', 'protected'],
    release:      ['released',        'released',              'released',              'released',  NONE,        'released',  'released']
  },
  sweep: {
    roots:        [CLOSED,            'told',                  'told',                  'told',      REASON,      'told',      'told'],
    delete:       [CLOSED,            'gone or kept',          'gone or kept',          'gone',      NONE,        'kept',      'kept'],
    close:        ['closed',          'closed',                'closed',                'closed',    NONE,        'closed',    'closed']
  }
}

/** What a call may need besides the object that it is a method of. */
interface Scene {
  readonly store: BlobStore
  readonly state: State
  readonly blob: Sample
  /** Of the tag. */
  readonly name: string
  readonly files: Scratch
  readonly signal: AbortSignal | undefined
}

/** The object whose method is called, made before the state begins. */
const OBJECTS: { readonly [K in Kind]: (scene: Scene) => Promise<Objects[K]> } = {
  store: async ({ store }) => store,
  tags: async ({ store, state, blob, name }) => {
    if (state !== 'absent') await store.tags.set(name, { hash: blob.hash, format: 'raw' })
    return store.tags
  },
  reader: ({ store, blob }) => opened(store, blob.hash),
  writer: async ({ store, state, blob }) => {
    const writer = await store.writer(blob.hash, blob.size)
    if (state === 'absent' || blob.size === 0) return writer
    for await (const verified of proven(blob, groups(0, 2))) await writer.write(verified)
    return writer
  },
  lease: ({ store }) => store.lease(),
  sweep: ({ store }) => store.sweep()
}

type Calls<K extends Kind> = Readonly<
  Record<MethodOf<Objects[K]>, (object: Objects[K], scene: Scene) => Promise<Outcome>>
>

/** Each method, and what came of it in a word. */
const CALLS: { readonly [K in Kind]: Calls<K> } = {
  store: {
    status: async (store, { blob, signal }) => (await store.status(blob.hash, { signal })).state,
    statusOfMany: async (store, { blob, signal }) => {
      // Not every store has it.
      if (store.statusOfMany === undefined) return (await store.status(blob.hash, { signal })).state
      const [status] = await store.statusOfMany([blob.hash], { signal })
      return status!.state
    },
    open: async (store, { blob, signal }) => {
      await using reader = await store.open(blob.hash, { signal })
      return reader === undefined ? 'nothing' : 'reader'
    },
    writer: async (store, { blob, signal }) => {
      await using _writer = await store.writer(blob.hash, blob.size, { signal })
      return 'writer'
    },
    addBytes: async (store, { blob, signal }) => added(blob, await store.addBytes(blob.data, { signal })),
    addStream: async (store, { blob, signal }) =>
      added(blob, await store.addStream(streamOf(blob.data, 20_000), { signal })),
    addPath: async (store, { blob, signal, files }) => {
      const path = files.path(`in ${blob.hash}`)
      await writeFile(path, blob.data)
      return added(blob, await store.addPath(path, { signal }))
    },
    exportPath: async (store, { blob, signal, files }) => {
      await store.exportPath(blob.hash, files.path(`out ${blob.hash}`), { signal })
      return 'exported'
    },
    list: async (store, { blob, signal }) => {
      const infos = await Array.fromAsync(store.list({ signal }))
      return infos.some(({ hash }) => hash.equals(blob.hash)) ? 'listed' : 'not listed'
    },
    delete: async (store, { blob }) => ((await store.delete(blob.hash)) ? 'deleted' : 'nothing'),
    reportDamage: async (store, { blob }) => (await store.reportDamage(blob.hash)).state,
    observe: async (store, { blob, signal }) => {
      for await (const { state } of store.observe(blob.hash, { signal })) return state
      return 'ended'
    },
    lease: async (store, { signal }) => {
      await using _lease = await store.lease({ signal })
      return 'lease'
    },
    sweep: async (store, { signal }) => {
      await using _sweep = await store.sweep({ signal })
      return 'sweep'
    },
    usage: async (store, { signal }) => {
      const { bytes, partialBytes } = await store.usage({ signal })
      assert.ok(bytes >= partialBytes && partialBytes >= 0)
      return 'usage'
    },
    close: async store => {
      await store.close()
      return 'closed'
    }
  },
  tags: {
    set: async (tags, { blob, name }) => {
      await tags.set(name, { hash: blob.hash, format: 'raw' })
      return 'set'
    },
    get: async (tags, { name }) => ((await tags.get(name)) === undefined ? 'nothing' : 'tag'),
    list: async (tags, { name, signal }) => {
      const found = await Array.fromAsync(tags.list({ signal }))
      return found.some(tag => tag.name === name) ? 'tag' : 'nothing'
    },
    rename: async (tags, { name }) => {
      await tags.rename(name, `${name} anew`)
      return 'renamed'
    },
    delete: async (tags, { name }) => ((await tags.delete(name)) ? 'deleted' : 'nothing')
  },
  reader: {
    readData: async (reader, { blob, signal }) => {
      const bytes = new Uint8Array(Math.min(blob.size, 100))
      await reader.readData(0, bytes, signal)
      assert.deepEqual(bytes, blob.data.slice(0, bytes.length))
      return 'read'
    },
    readDataInto: async (reader, { blob, signal }) => {
      const bytes = new Uint8Array(Math.min(blob.size, 100))
      // Not every reader has it.
      if (reader.readDataInto === undefined) await reader.readData(0, bytes, signal)
      else await reader.readDataInto(0, [bytes.subarray(0, 30), bytes.subarray(30)], signal)
      assert.deepEqual(bytes, blob.data.slice(0, bytes.length))
      return 'read'
    },
    readOutboard: async (reader, { blob, signal }) => {
      await reader.readOutboard(0, new Uint8Array(blob.size === 0 ? 0 : 64), signal)
      return 'read'
    },
    askAhead: async reader => {
      // Only those have it whose bytes are far away.
      await reader.askAhead?.()
      return 'asked'
    },
    close: async reader => {
      await reader.close()
      return 'closed'
    }
  },
  writer: {
    write: async (writer, { blob, signal }) => {
      const ranges = blob.size === 0 ? ChunkRanges.all : groups(2)
      for await (const verified of proven(blob, ranges)) await writer.write(verified, { signal })
      return 'written'
    },
    close: async writer => (await writer.close()).state
  },
  lease: {
    protect: async (lease, { blob }) => {
      await lease.protect({ hash: blob.hash, format: 'raw' })
      return 'protected'
    },
    release: async lease => {
      await lease.release()
      return 'released'
    }
  },
  sweep: {
    roots: async (sweep, { signal }) => {
      await Array.fromAsync(sweep.roots({ signal }))
      return 'told'
    },
    delete: async (sweep, { blob }) => {
      const gone = await sweep.delete([blob.hash], keepAll)
      return gone.length === 0 ? 'kept' : 'gone'
    },
    close: async sweep => {
      await sweep.close()
      return 'closed'
    }
  }
}

const TITLES: Readonly<Record<State, string>> = {
  closed: 'when the store has been closed',
  collecting: 'while the blob is collected as garbage',
  deleting: 'while the blob is deleted',
  partial: 'when a part of the blob is there',
  aborted: 'when its signal has aborted',
  absent: 'when the blob is absent',
  empty: 'of the empty blob'
}

interface Case {
  readonly kind: Kind
  readonly method: string
  readonly expected: Outcome
  /** @returns the call */
  readonly prepare: (scene: Scene) => Promise<() => Promise<Outcome>>
}

/** What is wrong is told all at once: each line is a cell of the table. */
export function stateTests({ describe, test, capabilities }: Suite): void {
  describe('every method has a known outcome', () => {
    for (const state of STATES) {
      test(TITLES[state], async store => {
        await using files = await scratch()
        const cases = casesOf(state).filter(({ method }) => capabilities.paths || !method.endsWith('Path'))
        const scenes = cases.map((_, i) => sceneOf(i, { store, state, files }))
        const wrong: string[] = []
        const look = async (i: number, call: () => Promise<Outcome>): Promise<void> => {
          const { kind, method, expected } = cases[i]!
          const outcome = await play(scenes[i]!, call)
          if (expected.split(' or ').includes(outcome)) return
          wrong.push(`${kind}.${method}: ${outcome} instead of ${expected}`)
        }
        if (state === 'closed') {
          const calls = await Promise.all(cases.map(({ prepare }, i) => prepare(scenes[i]!)))
          await store.close()
          for (const [i, call] of calls.entries()) await look(i, call)
        } else {
          for (const [i, { kind, method, prepare }] of cases.entries()) {
            await look(i, await prepare(scenes[i]!))
            if (kind !== 'store' || method !== 'close') await assertRight(scenes[i]!)
          }
        }
        assert.deepEqual(wrong, [])
      })
    }
  })
}

/** All that there are in a state. That of `close`, after which there are no more, is the last. */
function casesOf(state: State): Case[] {
  const kinds: readonly Kind[] = ['tags', 'reader', 'writer', 'lease', 'sweep', 'store']
  return kinds.flatMap(kind => casesOfKind(kind, state)).filter(({ expected }) => expected !== NONE)
}

function casesOfKind<K extends Kind>(kind: K, state: State): Case[] {
  const methods = Object.keys(OUTCOMES[kind]) as MethodOf<Objects[K]>[]
  return methods.map(method => ({
    kind,
    method: String(method),
    expected: OUTCOMES[kind][method][STATES.indexOf(state)]!,
    prepare: async scene => {
      await bring(scene, kind)
      const object = await OBJECTS[kind](scene)
      return () => CALLS[kind][method](object, scene)
    }
  }))
}

/** Each has a blob of its own. */
function sceneOf(i: number, { store, state, files }: Pick<Scene, 'store' | 'state' | 'files'>): Scene {
  const blob = state === 'empty' ? sample(0) : sample(5 * GROUP_BYTES + 1, 1000 + i)
  const signal = state === 'aborted' ? AbortSignal.abort(new AbortedError()) : undefined
  return { store, state, blob, name: `tag ${i}`, files, signal }
}

/** What is there of the blob, before the object is made. A writer brings it itself. */
async function bring({ store, state, blob }: Scene, kind: Kind): Promise<void> {
  if (state === 'absent' || state === 'empty' || kind === 'writer') return
  if (state === 'partial') await receive(store, blob, groups(0, 2))
  else await store.addBytes(blob.data)
}

/** Makes the call in its state. */
async function play({ store, state, blob }: Scene, call: () => Promise<Outcome>): Promise<Outcome> {
  if (state === 'deleting') return await beside(store.delete(blob.hash), call)
  if (state !== 'collecting') return await outcomeOf(call)
  const sweep = await store.sweep()
  await Array.fromAsync(sweep.roots())
  // A tag that came before keeps the blob.
  const isTagged = (await Array.fromAsync(store.tags.list())).some(({ hash }) => hash.equals(blob.hash))
  const outcome = await beside(sweep.delete(isTagged ? [] : [blob.hash], keepAll), call)
  await sweep.close()
  return outcome
}

/** Keeps what has come meanwhile, as a collection has to. */
async function keepAll(fresh: readonly Root[]): Promise<ReadonlySet<string>> {
  return new Set(fresh.map(({ hash }) => hash.toString()))
}

/** The outcome of a call while something else goes on, which ends well unless the call closes the store. */
async function beside(other: Promise<unknown>, call: () => Promise<Outcome>): Promise<Outcome> {
  const ended = outcomeOf(async () => {
    await other
    return 'well'
  })
  const outcome = await outcomeOf(call)
  const end = await ended
  assert.ok(end === 'well' || (outcome === 'closed' && end === CLOSED), end)
  return outcome
}

class AbortedError extends Error {
  readonly code = REASON
}

async function outcomeOf(call: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    if (error instanceof Error && 'code' in error) return String(error.code)
    return String(error)
  }
}

function added(blob: Sample, { hash, size }: AddResult): Outcome {
  assert.ok(hash.equals(blob.hash))
  assert.equal(size, blob.size)
  return 'added'
}

/** Whatever has happened: what is there of a blob is right. */
async function assertRight({ store, blob }: Scene): Promise<void> {
  const status = await store.status(blob.hash)
  if (status.state === 'complete') await assertComplete(store, blob)
  if (status.state !== 'partial') return
  await using reader = await opened(store, blob.hash)
  for await (const _piece of encode(blob.hash, reader, status.ranges));
}
