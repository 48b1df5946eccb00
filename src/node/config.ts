/**
 * What a node can be told: one schema for the config file, the flags of the CLI and the options of `createNode`. Only the
 * spelling of the keys differs: `blob_store` in the file, `blobStore` in code, `--listen` as a flag.
 */
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { type BlobsLimits, DEFAULT_LIMITS, isTime } from '../libp2p/limits.ts'
import { InvalidPeerIdError, parsePeerId } from '../libp2p/push-policy.ts'
import { MAX_TICKET_ADDRS } from '../protocol/constants.ts'
import { MAX_INTERVAL_MS } from './gc/schedule.ts'
import { nearest } from './nearest.ts'
import { SPELLINGS, type Spelling } from './spelling.ts'
import { keyOfOtherStore, STORE_SHAPES, storeSchema, storeTypeOf } from './store-config.ts'
import type { StoreType } from './store-types.ts'

/** Something in the configuration is wrong. The message names the source, the key and what would be right. */
export class InvalidConfigError extends Error {
  override readonly name = 'InvalidConfigError'
  readonly code = 'ERR_INVALID_CONFIG'
  /** Each thing that is wrong. */
  readonly problems: readonly string[]

  /** @param source what was read: a file's path, or `options` */
  constructor(source: string, problems: readonly string[], options?: ErrorOptions) {
    super(`${source}: ${problems.join('; ')}`, options)
    this.problems = problems
  }
}

const LIMIT_DESCRIPTIONS: Readonly<Record<keyof BlobsLimits, string>> = {
  maxStreamsPerPeer: 'Requests of one peer that are answered at the same time.',
  maxStreams:
    'Requests that are answered at the same time in all, and streams on which none has come in full.',
  maxObserversPerPeer: 'Observe requests of one peer among these.',
  maxObservers: 'Observe requests among these in all.',
  maxStreamsPerConnection: 'Streams that one connection may open before further ones are reset.',
  retryAfterMs: 'How long a peer that is turned away is told to wait, in ms.',
  requestTimeoutMs: 'Within this time a request must have come in full, in ms.',
  idleTimeoutMs: 'Longest time during which the peer takes, or sends, no byte, in ms.',
  stallTimeoutMs:
    'Longest time without a byte from a provider while there are others to ask, or without one taken or pushed while others wait, in ms.',
  streamTimeoutMs: 'Longest time that one request may take in all, in ms.',
  dialTimeoutMs: 'How long to wait for a connection to a provider, in ms.',
  maxFetches: 'Fetches at a time; further ones wait.',
  maxProvidersPerFetch: 'Providers that one fetch asks at a time.',
  maxBlobBytes: 'Most bytes that a blob may claim to have, when it is fetched or pushed.'
}

const listenAddr = z.string().superRefine((text, context) => {
  const reason = whyNoListenAddr(text)
  if (reason !== undefined) context.addIssue({ code: 'custom', message: reason })
})

const announceAddr = z.string().superRefine((text, context) => {
  if (namesOf(text) === undefined) context.addIssue({ code: 'custom', message: `"${text}" is no multiaddr` })
})

const peerId = z.string().superRefine((text, context) => {
  const reason = whyNoPeerId(text)
  if (reason !== undefined) context.addIssue({ code: 'custom', message: reason })
})

const DAY_S = 24 * 60 * 60

/** Timers wait no longer. */
const MAX_INTERVAL_DAYS = Math.floor(MAX_INTERVAL_MS / 1000 / DAY_S)

const limit = (key: keyof BlobsLimits) => {
  const number = z.int().positive()
  return (isTime(key) ? number.max(MAX_INTERVAL_MS, `must be at most ${MAX_INTERVAL_DAYS} days`) : number)
    .default(DEFAULT_LIMITS[key])
    .describe(LIMIT_DESCRIPTIONS[key])
}

const limits = z.strictObject({
  maxStreamsPerPeer: limit('maxStreamsPerPeer'),
  maxStreams: limit('maxStreams'),
  maxObserversPerPeer: limit('maxObserversPerPeer'),
  maxObservers: limit('maxObservers'),
  maxStreamsPerConnection: limit('maxStreamsPerConnection'),
  retryAfterMs: limit('retryAfterMs'),
  requestTimeoutMs: limit('requestTimeoutMs'),
  idleTimeoutMs: limit('idleTimeoutMs'),
  stallTimeoutMs: limit('stallTimeoutMs'),
  streamTimeoutMs: limit('streamTimeoutMs'),
  dialTimeoutMs: limit('dialTimeoutMs'),
  maxFetches: limit('maxFetches'),
  maxProvidersPerFetch: limit('maxProvidersPerFetch'),
  maxBlobBytes: limit('maxBlobBytes')
} satisfies Record<keyof BlobsLimits, z.ZodType>)

const gc = z.strictObject({
  intervalS: z
    .int()
    .nonnegative('must be 0 or more')
    .max(MAX_INTERVAL_DAYS * DAY_S, `must be at most ${MAX_INTERVAL_DAYS} days`)
    .default(0)
    .describe(
      'How often a running node deletes what no tag and no transfer needs, in s. 0: never; see "blobs gc".'
    ),
  partialDays: z
    .number()
    .nonnegative('must be 0 or more')
    .default(7)
    .describe('Partial blobs that no tag holds are deleted when nothing has come in for so many days.')
})

const push = z.strictObject({
  authorize: z
    .array(peerId)
    .default(() => [])
    .describe(
      'Peer ids of those who may push blobs into the store, as in ["12D3KooW…"]: "blobs init" and "blobs serve" tell a node its own.'
    )
})

const fields = z.strictObject({
  listen: z
    .array(listenAddr)
    .default(() => ['/ip4/0.0.0.0/tcp/0'])
    .describe('Where to listen. Port 0 is a free port, another one at each start.'),
  announce: z
    .array(announceAddr)
    .max(MAX_TICKET_ADDRS)
    .default(() => [])
    .describe(
      'Addresses to put into tickets instead of those listened at, such as that of a forwarded port.'
    ),
  identity: z
    .string()
    .min(1)
    .default('identity.key')
    .describe("The file with the node's private key; relative to the home folder."),
  logLevel: z
    .enum(['quiet', 'normal', 'verbose'])
    .default('normal')
    .describe('What the commands tell: "quiet" only errors, "verbose" each request that is answered too.'),
  blobStore: storeSchema.prefault({}),
  gc: gc.prefault({}).describe('Deleting what nothing needs any more.'),
  push: push.prefault({}).describe('What peers may put into the store.'),
  limits: limits.prefault({}).describe('What peers may take of this node.')
})

export const configSchema = fields

/** All that a node is told, with the defaults filled in. */
export type Config = z.output<typeof fields>

/** What has to be told: nothing. */
export type ConfigInput = z.input<typeof fields>

/** Keys of the configuration by path, but for those of the store: they depend on its type. */
export const CONFIG_SHAPES = {
  '': fields.shape,
  gc: gc.shape,
  push: push.shape,
  limits: limits.shape
} as const

/**
 * Checks a configuration and fills in the defaults.
 *
 * @param input keys as they are spelt in code
 * @param source what to call it in messages
 * @param spelling how the messages spell the keys
 * @throws InvalidConfigError naming everything that is wrong
 */
export function parseConfig(input: unknown, source: string, spelling: Spelling = 'code'): Config {
  const result = configSchema.safeParse(input)
  if (result.success) return result.data
  const table = isTable(input) ? input : {}
  const surroundings = {
    type: storeTypeOf(table.blobStore),
    keys: Object.keys(table).map(SPELLINGS[spelling])
  }
  throw new InvalidConfigError(
    source,
    result.error.issues.flatMap(issue => describeIssue(issue, spelling, surroundings))
  )
}

/** What of a configuration tells how to set one of its keys right. */
export interface Surroundings {
  /** Of the store that the configuration names, if there is such a type. */
  readonly type: StoreType | undefined
  /** What it has at its top, sections among them, as it is spelt there. */
  readonly keys: readonly string[]
}

/** What is said of a key that is none. */
export function unknownKey(
  key: string,
  path: string,
  spelling: Spelling,
  { type, keys }: Surroundings
): string {
  const ofOther =
    path === 'blobStore' && type !== undefined ? keyOfOtherStore(key, type, spelling) : undefined
  if (ofOther !== undefined) return ofOther
  const here = path === '' ? undefined : SPELLINGS[spelling](path)
  const section = sectionOf(key, spelling)
  if (section !== undefined && section !== here) {
    const found = here === undefined ? '' : ` stands below [${here}], and`
    // In a file, a section goes on until the next one begins: what is added at its end is in the last one.
    const move = keys.includes(section) ? 'move it there' : `put a line [${section}] before it`
    const advice = spelling === 'toml' ? `; ${move}` : ''
    return `key "${key}"${found} belongs below [${section}]${advice}`
  }
  if (here !== undefined && isOutsideOfSections(key, spelling)) {
    const where = spelling === 'toml' ? 'before the first section' : 'beside it'
    return `key "${key}" stands below [${here}], and belongs ${where}`
  }
  const known = Object.keys(shapeAt(path, type)).map(SPELLINGS[spelling])
  const near = nearest(key, known)
  const place = here === undefined ? '' : ` in "${here}"`
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean "${near}"?`
  return `unknown key "${key}"${place}; ${hint}`
}

/** The section that has a key. */
function sectionOf(key: string, spelling: Spelling): string | undefined {
  const has = (shape: object): boolean => Object.keys(shape).some(name => SPELLINGS[spelling](name) === key)
  if (Object.values(STORE_SHAPES).some(has)) return SPELLINGS[spelling]('blobStore')
  if (has(gc.shape)) return 'gc'
  if (has(push.shape)) return 'push'
  return has(limits.shape) ? 'limits' : undefined
}

/** Whether that key is below no section. */
function isOutsideOfSections(key: string, spelling: Spelling): boolean {
  const sections: readonly string[] = ['blobStore', ...Object.keys(CONFIG_SHAPES)]
  return Object.keys(fields.shape).some(name => !sections.includes(name) && SPELLINGS[spelling](name) === key)
}

function shapeAt(path: string, type: StoreType | undefined): Readonly<Record<string, z.ZodType>> {
  if (path !== 'blobStore') return Object.entries(CONFIG_SHAPES).find(([at]) => at === path)?.[1] ?? {}
  return type === undefined ? Object.assign({}, ...Object.values(STORE_SHAPES)) : STORE_SHAPES[type]
}

function describeIssue(issue: z.core.$ZodIssue, spelling: Spelling, surroundings: Surroundings): string[] {
  const path = issue.path.map(part =>
    typeof part === 'number' ? `${part}` : SPELLINGS[spelling](String(part))
  )
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key =>
      unknownKey(SPELLINGS[spelling](key), issue.path.join('.'), spelling, surroundings)
    )
  }
  const message = issue.message
    .replace(/^Invalid (input|option): /, '')
    .replace(/^expected .*, received undefined$/, 'is missing')
  return [path.length === 0 ? message : `"${path.join('.')}": ${message}`]
}

/** What the node can listen at: TCP. */
function whyNoListenAddr(text: string): string | undefined {
  const names = namesOf(text)
  if (names === undefined) return `"${text}" is no multiaddr; one looks like /ip4/0.0.0.0/tcp/4001`
  const isTcp = names.length === 2 && /^(ip4|ip6|dns|dns4|dns6)$/.test(names[0]!) && names[1] === 'tcp'
  if (!isTcp) return `"${text}" cannot be listened at: this node speaks TCP, as in /ip4/0.0.0.0/tcp/4001`
  return undefined
}

function whyNoPeerId(text: string): string | undefined {
  try {
    parsePeerId(text)
    return undefined
  } catch (error) {
    if (error instanceof InvalidPeerIdError) return error.message
    throw error
  }
}

function namesOf(text: string): string[] | undefined {
  try {
    return multiaddr(text)
      .getComponents()
      .map(({ name }) => name)
  } catch {
    return undefined
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
