import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { stringify } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS, isTime } from '../../src/libp2p/limits.ts'
import { type ConfigInput, InvalidConfigError, parseConfig } from '../../src/node/config.ts'
import { configTemplate } from '../../src/node/config-template.ts'
import { loadConfig, parseToml } from '../../src/node/load-config.ts'
import { SPELLINGS } from '../../src/node/spelling.ts'
import { DEFAULT_MAX_BLOB_SIZE, STORE_SHAPES, type StoreInput } from '../../src/node/store-config.ts'
import { STORE_TYPES, type StoreType } from '../../src/node/store-types.ts'
import { scratch, writeTree } from './support.ts'

const DEFAULTS = parseConfig({}, 'test')

/** Reads a text as the file of a home. */
async function load(text: string, overrides?: ConfigInput) {
  await using folder = await scratch()
  await writeTree(folder.path, { 'config.toml': text })
  return await loadConfig(folder.path, overrides)
}

async function problemWith(text: string): Promise<string> {
  const error = await load(text).then(
    () => undefined,
    (reason: unknown) => reason
  )
  expect(error).toBeInstanceOf(InvalidConfigError)
  return (error as InvalidConfigError).message
}

/** A template with each line that shows a key in force; of the forms of the store that of one type. */
function uncommented(template: string, type: StoreType): string {
  return template
    .split(/^(?=# \[)/m)
    .filter(section => !section.startsWith('# [blob_store]') || section.includes(`type = "${type}"`))
    .join('')
    .replace(/^# (?=\[|[a-z_]+ = )/gm, '')
}

const PEER_ID = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'

/** The beginning of a section to which only what is wrong is to be added. */
const S3 = '[blob_store]\ntype = "s3"\nendpoint = "http://localhost:9000"\nbucket = "blobs"\n'

function inToml(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [SPELLINGS.toml(key), inToml(inner)]))
}

describe('the configuration', () => {
  it('has a default for everything, and a home needs no file', async () => {
    await using folder = await scratch()
    expect(await loadConfig(folder.path)).toEqual(DEFAULTS)
    expect(DEFAULTS.listen).toEqual(['/ip4/0.0.0.0/tcp/0'])
    expect(DEFAULTS.blobStore).toEqual({ type: 'legacy', path: 'blobs', sync: 'full' })
    expect(DEFAULTS.push).toEqual({ authorize: [] })
    expect(DEFAULTS.limits).toEqual(DEFAULT_LIMITS)
  })

  it('is read from the file, with what the command line says instead', async () => {
    const text = 'listen = ["/ip4/127.0.0.1/tcp/4001"]\nlog_level = "quiet"\n[limits]\nmax_streams = 7'
    const config = await load(text, { logLevel: 'verbose' })
    expect(config.listen).toEqual(['/ip4/127.0.0.1/tcp/4001'])
    expect(config.logLevel).toBe('verbose')
    expect(config.limits).toEqual({ ...DEFAULT_LIMITS, maxStreams: 7 })
  })

  const limitValues = Object.fromEntries(
    Object.keys(DEFAULT_LIMITS).map(key => [
      key,
      fc.integer({ min: 1, max: isTime(key) ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER })
    ])
  )
  const port = fc.integer({ min: 0, max: 65535 })
  const listen = fc
    .tuple(fc.constantFrom('/ip4/127.0.0.1', '/ip6/::1', '/ip4/0.0.0.0'), port)
    .map(([host, number]) => `${host}/tcp/${number}`)
  const text = fc.string({ minLength: 1 })
  const peerIds = fc.constantFrom(PEER_ID, 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N')
  const key = fc.stringMatching(/^[\x21-\x7e]{1,40}$/)
  const folderKeys = { path: text, sync: fc.constantFrom('full' as const, 'none' as const) }
  const databaseKeys = { dbPath: text, maxBlobSize: fc.integer({ min: 1 }) }
  const stores: fc.Arbitrary<StoreInput> = fc.oneof(
    fc.record({ type: fc.constant('legacy' as const), ...folderKeys }, { requiredKeys: [] }),
    fc.record(
      { type: fc.constant('filesystem' as const), ...folderKeys, ...databaseKeys },
      { requiredKeys: ['type'] }
    ),
    fc.record(
      {
        type: fc.constant('s3' as const),
        endpoint: fc.webAuthority().map(host => `https://${host}`),
        bucket: fc.stringMatching(/^[a-z0-9-]{3,63}$/).filter(name => !/^-|-$/.test(name)),
        accessKey: key,
        secretKey: key,
        sessionToken: key,
        region: fc.stringMatching(/^[a-z0-9-]{1,20}$/),
        prefix: fc.stringMatching(/^([a-z0-9_-]{1,5}\/){0,3}$/),
        pathStyle: fc.boolean(),
        readThrough: fc.boolean(),
        ...databaseKeys
      },
      { requiredKeys: ['type', 'endpoint', 'bucket', 'accessKey', 'secretKey'] }
    )
  )
  const configs = fc.record(
    {
      listen: fc.array(listen, { maxLength: 4 }),
      announce: fc.array(listen, { maxLength: 4 }),
      identity: fc.string({ minLength: 1, unit: 'binary' }).filter(text => text.isWellFormed()),
      logLevel: fc.constantFrom('quiet' as const, 'normal' as const, 'verbose' as const),
      blobStore: stores,
      push: fc.record({ authorize: fc.array(peerIds, { maxLength: 3 }) }, { requiredKeys: [] }),
      limits: fc.record(limitValues, { requiredKeys: [] })
    },
    { requiredKeys: [] }
  )

  it('means the same as a file as in code, whichever keys are set', () => {
    fc.assert(
      fc.property(configs, input => {
        const read = parseToml(stringify(inToml(input) as Record<string, unknown>), 'test')
        expect(parseConfig(read, 'test', 'toml')).toEqual(parseConfig(input, 'test'))
      })
    )
  })

  it('of a new home says all defaults, and each form of its store is valid with every line uncommented', async () => {
    const template = configTemplate()
    expect(await load(template)).toEqual(DEFAULTS)
    for (const type of STORE_TYPES) {
      const text = uncommented(template, type)
      const config = await load(text)
      expect(config).toEqual({ ...DEFAULTS, blobStore: expect.objectContaining({ type }) })
      const keys = text.match(/^[a-z_]+(?= = )/gm)
      const storeKeys = Object.keys(STORE_SHAPES[type])
      expect(keys).toHaveLength(
        5 + storeKeys.length + Object.keys(DEFAULTS.gc).length + Object.keys(DEFAULT_LIMITS).length
      )
    }
    // What has no default is there as an example.
    expect(await load(uncommented(template, 'legacy'))).toEqual({
      ...DEFAULTS,
      blobStore: { ...DEFAULTS.blobStore, maxSize: expect.any(Number) }
    })
  })

  it('of a new home with a store has its keys in force, and nothing else', async () => {
    const stores: StoreInput[] = [
      { type: 'legacy' },
      { type: 'filesystem', path: 'elsewhere', sync: 'none' },
      { type: 's3', endpoint: 'http://localhost:9000', bucket: 'abc', prefix: 'a/', readThrough: true },
      { type: 's3', endpoint: 'https://s3.example.org', bucket: 'abc', accessKey: 'k"\\', secretKey: 's\'"' }
    ]
    for (const blobStore of stores) {
      const text = configTemplate(blobStore)
      expect(await load(text)).toEqual(parseConfig({ blobStore }, 'test'))
      expect(text.match(/^[a-z_]+ = /gm)).toHaveLength(Object.keys(blobStore).length)
    }
  })
})

describe('the forms of a store', () => {
  it.each([
    ['', { type: 'legacy', path: 'blobs', sync: 'full' }],
    ['type = "legacy"', { type: 'legacy', path: 'blobs', sync: 'full' }],
    [
      'type = "filesystem"\npath = "/data/blobs"\ndb_path = "/data/blobs.db"',
      {
        type: 'filesystem',
        path: '/data/blobs',
        dbPath: '/data/blobs.db',
        sync: 'full',
        maxBlobSize: DEFAULT_MAX_BLOB_SIZE
      }
    ],
    [
      'type = "filesystem"',
      {
        type: 'filesystem',
        path: 'blobs',
        dbPath: 'blobs.db',
        sync: 'full',
        maxBlobSize: DEFAULT_MAX_BLOB_SIZE
      }
    ],
    [
      `type = "s3"
endpoint = "http://localhost:9000"
access_key = "minioadmin"
secret_key = "minioadmin"
bucket = "blobs"
region = "us-east-1"        # optional
prefix = "node-a/"          # optional
db_path = "/data/blobs.db"  # optional
read_through = false        # optional`,
      {
        type: 's3',
        endpoint: 'http://localhost:9000',
        accessKey: 'minioadmin',
        secretKey: 'minioadmin',
        bucket: 'blobs',
        region: 'us-east-1',
        prefix: 'node-a/',
        dbPath: '/data/blobs.db',
        readThrough: false,
        maxBlobSize: DEFAULT_MAX_BLOB_SIZE
      }
    ],
    [
      'type = "s3"\nendpoint = "https://s3.example.org:444"\nbucket = "blobs"',
      {
        type: 's3',
        endpoint: 'https://s3.example.org:444',
        bucket: 'blobs',
        region: 'us-east-1',
        prefix: '',
        dbPath: 'blobs.db',
        readThrough: false,
        maxBlobSize: DEFAULT_MAX_BLOB_SIZE
      }
    ]
  ])('%j', async (text, blobStore) => {
    expect((await load(`[blob_store]\n${text}`)).blobStore).toEqual(blobStore)
  })

  it('of homes that the first version made go on meaning what they meant', async () => {
    const folder = resolve(import.meta.dirname, '../fixtures/home-0.1.0')
    expect(await loadConfig(folder)).toEqual(DEFAULTS)
    const text = await readFile(join(folder, 'config.toml'), 'utf8')
    expect(await load(uncommented(text, 'legacy'))).toEqual(DEFAULTS)
    expect((await load('listen = ["/ip4/127.0.0.1/tcp/4001"]')).blobStore.type).toBe('legacy')
    expect((await load('[blob_store]\npath = "/data"\nsync = "none"')).blobStore).toEqual({
      type: 'legacy',
      path: '/data',
      sync: 'none'
    })
  })
})

describe('a wrong configuration', () => {
  it.each([
    ['listne = []', 'unknown key "listne"; did you mean "listen"?'],
    ['loglevel = "quiet"', 'unknown key "loglevel"; did you mean "log_level"?'],
    ['logLevel = "quiet"', 'unknown key "logLevel"; did you mean "log_level"?'],
    ['[blob-store]', 'unknown key "blob-store"; did you mean "blob_store"?'],
    ['[limits]\nmax_stream = 3', 'unknown key "max_stream" in "limits"; did you mean "max_streams"?'],
    ['[blob_store]\npth = "x"', 'unknown key "pth" in "blob_store"; did you mean "path"?'],
    ['[gc]\ninterval_s = 2_592_000', '"gc.interval_s": must be at most 24 days'],
    ['[gc]\ninterval_s = -1', '"gc.interval_s": must be 0 or more'],
    ['[gc]\npartial_days = -1', '"gc.partial_days": must be 0 or more'],
    ['[blob_store]\nmax_size = 0', '"blob_store.max_size": must be 1 or more'],
    ['zzzzzzzzzzzzz = 1', 'unknown key "zzzzzzzzzzzzz"; there are listen, announce, identity, log_level'],
    ['[limits]\nmax_streams = 0', '"limits.max_streams": '],
    ['[limits]\nmax_streams = 1.5', '"limits.max_streams": '],
    ['[limits]\nmax_streams = "7"', '"limits.max_streams": expected number, received string'],
    ['listen = "/ip4/0.0.0.0/tcp/0"', '"listen": expected array, received string'],
    ['listen = ["0.0.0.0:4001"]', '"0.0.0.0:4001" is no multiaddr'],
    ['listen = ["/ip4/0.0.0.0/udp/4001/quic-v1"]', 'this node speaks TCP'],
    ['announce = ["example.org"]', '"example.org" is no multiaddr'],
    [
      '[push]\nauthorize = ["12D3KooW"]',
      '"push.authorize.0": "12D3KooW" is no peer id; one looks like 12D3KooW…, with 52 characters'
    ],
    [
      `[push]\nauthorize = ["${PEER_ID}", "/ip4/192.0.2.1/tcp/4001/p2p/${PEER_ID}"]`,
      `"push.authorize.1": "/ip4/192.0.2.1/tcp/4001/p2p/${PEER_ID}" is no peer id; it is the last part of this address: "${PEER_ID}"`
    ],
    [`[push]\nauthorize = "${PEER_ID}"`, '"push.authorize": expected array, received string'],
    ['[push]\nauthorise = []', 'unknown key "authorise" in "push"; did you mean "authorize"?'],
    ['authorize = []', 'key "authorize" belongs below [push]; put a line [push] before it'],
    [
      '[gc]\ninterval_s = 60\nauthorize = []',
      'key "authorize" stands below [gc], and belongs below [push]; put a line [push] before it'
    ],
    [
      '[blob_store]\ntype = "filesystem"\nauthorize = []',
      'key "authorize" stands below [blob_store], and belongs below [push]; put a line [push] before it'
    ],
    [
      '[push]\n[gc]\nauthorize = []',
      'key "authorize" stands below [gc], and belongs below [push]; move it there'
    ],
    ['[push]\nlisten = []', 'key "listen" stands below [push], and belongs before the first section'],
    ['[limits]\nstream_timeout_ms = 2_592_000_000', '"limits.stream_timeout_ms": must be at most 24 days'],
    ['identity = ""', '"identity": '],
    ['log_level = "loud"', '"log_level": '],
    ['[blob_store]\ntype = "lecagy"', '"blob_store.type": there is no type "lecagy"; did you mean "legacy"?'],
    ['[blob_store]\ntype = "S3"\nbucket = "b"', 'there is no type "S3"; did you mean "s3"?'],
    ['[blob_store]\ntype = "zzzzzzzzzzzz"', 'there are "legacy", "filesystem", "s3"'],
    ['[blob_store]\ntype = 3', '"blob_store.type": expected one of "legacy", "filesystem", "s3"'],
    ['blob_store = "s3"', '"blob_store": expected object'],
    [
      '[blob_store]\nbucket = "blobs"',
      `key "bucket" belongs to type = "s3"; the section's type is "legacy", which is also what no type means`
    ],
    [
      '[blob_store]\ntype = "filesystem"\naccess_key = "a"',
      `key "access_key" belongs to type = "s3"; the section's type is "filesystem"`
    ],
    ['[blob_store]\ndb_path = "a"', 'key "db_path" belongs to type = "filesystem" or "s3"'],
    [`${S3}path = "a"`, 'key "path" belongs to type = "legacy" or "filesystem"'],
    [`${S3}buckt = "a"`, 'unknown key "buckt" in "blob_store"; did you mean "bucket"?'],
    [`${S3}readThrough = true`, 'unknown key "readThrough" in "blob_store"; did you mean "read_through"?'],
    ['[blob_store]\ntype = "s3"\nendpoint = "http://a"', '"blob_store.bucket": is missing'],
    ['[blob_store]\ntype = "s3"\nbucket = "abc"', '"blob_store.endpoint": is missing'],
    [
      '[blob_store]\ntype = "s3"\nbucket = "abc"\nendpoint = "localhost:9000"',
      '"blob_store.endpoint": must be a URL that begins with'
    ],
    [
      '[blob_store]\ntype = "s3"\nbucket = "abc"\nendpoint = "s3://localhost"',
      '"blob_store.endpoint": must be a URL that begins with'
    ],
    [
      '[blob_store]\ntype = "s3"\nbucket = "abc"\nendpoint = "http://a/abc"',
      'the bucket is an option of its own'
    ],
    [
      '[blob_store]\ntype = "s3"\nbucket = "abc"\nendpoint = "http://k@a"',
      'must have no user and password in it'
    ],
    [
      '[blob_store]\ntype = "s3"\nbucket = "a/b"\nendpoint = "http://a"',
      '"blob_store.bucket": must be a bucket name'
    ],
    [`${S3}prefix = "/a"`, '"blob_store.prefix": must be words of letters'],
    [`${S3}access_key = "a"`, '"blob_store.secret_key": is missing'],
    [`${S3}secret_key = "a"`, '"blob_store.access_key": is missing'],
    [`${S3}session_token = "a"`, '"blob_store.access_key": is missing'],
    [`${S3}max_blob_size = 0`, '"blob_store.max_blob_size": '],
    [`${S3}read_through = "yes"`, '"blob_store.read_through": expected boolean, received string']
  ])('%j says what is wrong, where, and what would be right', async (text, message) => {
    const problem = await problemWith(text)
    expect(problem).toContain('config.toml: ')
    expect(problem).toContain(message)
    expect(problem).not.toContain('\n')
  })

  it('says nothing of keys when it is not clear whose they are', async () => {
    expect(await problemWith('[blob_store]\ntype = "s4"\nbucket = "b"')).not.toContain('bucket')
  })

  it('never tells a secret, whatever is wrong and wherever the secret was put by mistake', async () => {
    const secret = 'wJalrXUtnFEMI'
    const wrong = [
      `${S3}access_key = "a"\nsecret_key = "${secret}"\nread_through = 3`,
      `${S3}secret_key = "${secret}"`,
      `${S3}access_key = "a"\nsecretKey = "${secret}"`,
      `${S3}access_key = "a"\nsecret_key = "${secret}`,
      `${S3}access_key = "a"\nsecret_key = ${secret}`,
      `${S3}access_key = "a"\nsecret_key = ["${secret}"]`,
      `${S3}access_key = "a"\nsecret_key = "${secret}"\n= 3`,
      `${S3}prefix = "/${secret}"`,
      `[blob_store]\ntype = "s3"\nbucket = "a/${secret}"\nendpoint = "http://a"`,
      `[blob_store]\ntype = "s3"\nbucket = "abc"\nendpoint = "http://k:${secret}@a"`,
      `[blob_store]\ntype = "s3"\nbucket = "abc"\nendpoint = "s3://k:${secret}@a/abc"`,
      `[blob_store]\nsecret_key = "${secret}"`
    ]
    for (const text of wrong) {
      const error = await load(text).then(
        () => undefined,
        (reason: unknown) => reason
      )
      expect(error, text).toBeInstanceOf(InvalidConfigError)
      expect(inspect(error, { depth: 10 }), text).not.toContain(secret)
    }
  })

  it('that is no TOML is told with its position', async () => {
    expect(await problemWith('listen = []\nlog_level = quiet\n')).toMatch(
      /config\.toml, line 2, column \d+: /
    )
  })

  it('names everything that is wrong at once', async () => {
    const problem = await problemWith('listne = []\nidentity = 3')
    expect(problem).toContain('listne')
    expect(problem).toContain('"identity"')
  })

  it('names the file even if the command line would have overruled it', async () => {
    await expect(load('log_level = "loud"', { logLevel: 'quiet' })).rejects.toThrow('config.toml')
  })

  it('in code is told as it is spelt in code', () => {
    expect(() => parseConfig({ blobStor: {} }, 'options')).toThrow('did you mean "blobStore"?')
    expect(() => parseConfig({ blobStore: { dbPath: 'a' } }, 'options')).toThrow('key "dbPath" belongs to')
    expect(() => parseConfig({ limits: { max_streams: 1 } }, 'options')).toThrow('did you mean "maxStreams"?')
  })

  it('never passes for one of the defaults: any unknown key is refused', () => {
    const known = ['listen', 'announce', 'identity', 'log_level', 'blob_store', 'push', 'limits']
    const keys = fc.stringMatching(/^[a-z_]{1,12}$/).filter(key => !known.includes(key))
    fc.assert(
      fc.property(keys, key => {
        expect(() => parseConfig(parseToml(`${key} = 1`, 'test'), 'test', 'toml')).toThrow(InvalidConfigError)
      })
    )
  })
})
