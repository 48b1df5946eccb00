import fc from 'fast-check'
import { stringify } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS } from '../../src/libp2p/limits.ts'
import { type ConfigInput, InvalidConfigError, parseConfig } from '../../src/node/config.ts'
import { configTemplate } from '../../src/node/config-template.ts'
import { loadConfig, parseToml } from '../../src/node/load-config.ts'
import { SPELLINGS } from '../../src/node/spelling.ts'
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
    Object.keys(DEFAULT_LIMITS).map(key => [key, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })])
  )
  const port = fc.integer({ min: 0, max: 65535 })
  const listen = fc
    .tuple(fc.constantFrom('/ip4/127.0.0.1', '/ip6/::1', '/ip4/0.0.0.0'), port)
    .map(([host, number]) => `${host}/tcp/${number}`)
  const configs = fc.record(
    {
      listen: fc.array(listen, { maxLength: 4 }),
      announce: fc.array(listen, { maxLength: 4 }),
      identity: fc.string({ minLength: 1, unit: 'binary' }).filter(text => text.isWellFormed()),
      logLevel: fc.constantFrom('quiet' as const, 'normal' as const, 'verbose' as const),
      blobStore: fc.record(
        {
          type: fc.constant('legacy' as const),
          path: fc.string({ minLength: 1 }),
          sync: fc.constantFrom('full' as const, 'none' as const)
        },
        { requiredKeys: [] }
      ),
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

  it('of a new home says all defaults, and is valid with every line uncommented', async () => {
    const template = configTemplate()
    expect(await load(template)).toEqual(DEFAULTS)
    const uncommented = template
      .split('\n')
      .map(line => line.replace(/^# (?=\[|[a-z_]+ = )/, ''))
      .join('\n')
    expect(await load(uncommented)).toEqual(DEFAULTS)
    const keys = uncommented.match(/^[a-z_]+(?= = )/gm)
    expect(keys).toHaveLength(4 + 3 + Object.keys(DEFAULT_LIMITS).length)
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
    ['zzzzzzzzzzzzz = 1', 'unknown key "zzzzzzzzzzzzz"; there are listen, announce, identity, log_level'],
    ['[limits]\nmax_streams = 0', '"limits.max_streams": '],
    ['[limits]\nmax_streams = 1.5', '"limits.max_streams": '],
    ['[limits]\nmax_streams = "7"', '"limits.max_streams": expected number, received string'],
    ['listen = "/ip4/0.0.0.0/tcp/0"', '"listen": expected array, received string'],
    ['listen = ["0.0.0.0:4001"]', '"0.0.0.0:4001" is no multiaddr'],
    ['listen = ["/ip4/0.0.0.0/udp/4001/quic-v1"]', 'this node speaks TCP'],
    ['announce = ["example.org"]', '"example.org" is no multiaddr'],
    ['identity = ""', '"identity": '],
    ['log_level = "loud"', '"log_level": '],
    ['[blob_store]\ntype = "lecagy"', '"blob_store.type": '],
    ['[blob_store]\ntype = "filesystem"', 'this version has no "filesystem" store yet; use "legacy"'],
    ['[blob_store]\ntype = "s3"\nbucket = "b"', 'this version has no "s3" store yet; use "legacy"']
  ])('%j says what is wrong, where, and what would be right', async (text, message) => {
    const problem = await problemWith(text)
    expect(problem).toContain('config.toml: ')
    expect(problem).toContain(message)
    expect(problem).not.toContain('\n')
  })

  it('says nothing of keys that belong to a store that is to come', async () => {
    expect(await problemWith('[blob_store]\ntype = "s3"\nbucket = "b"')).not.toContain('bucket')
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
    expect(() => parseConfig({ limits: { max_streams: 1 } }, 'options')).toThrow('did you mean "maxStreams"?')
  })

  it('never passes for one of the defaults: any unknown key is refused', () => {
    const known = ['listen', 'announce', 'identity', 'log_level', 'blob_store', 'limits']
    const keys = fc.stringMatching(/^[a-z_]{1,12}$/).filter(key => !known.includes(key))
    fc.assert(
      fc.property(keys, key => {
        expect(() => parseConfig(parseToml(`${key} = 1`, 'test'), 'test', 'toml')).toThrow(InvalidConfigError)
      })
    )
  })
})
