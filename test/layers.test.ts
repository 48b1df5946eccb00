/** The house as ARCHITECTURE.md draws it: imports point down, and what browsers load needs nothing of Node. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const SRC = resolve(import.meta.dirname, '../src')

/** Which folders of src/ each folder may import from, besides itself. Files directly in src/ are `hash` and `cid`. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'hash.ts': [],
  'cid.ts': ['hash.ts'],
  bao: ['hash.ts'],
  store: ['hash.ts', 'bao'],
  protocol: ['hash.ts', 'cid.ts', 'bao', 'store'],
  libp2p: ['hash.ts', 'bao', 'protocol', 'store'],
  tcp: [],
  noise: ['tcp'],
  node: ['hash.ts', 'cid.ts', 'bao', 'protocol', 'store', 'libp2p', 'tcp', 'noise'],
  cli: ['hash.ts', 'cid.ts', 'bao', 'protocol', 'store', 'libp2p', 'node']
}

const FOR_BROWSERS = ['hash.ts', 'cid.ts', 'bao', 'protocol', 'libp2p', 'store/memory', 'index.ts']

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts') && !name.startsWith('bao/kernel/assembly'))
  .map(name => join(SRC, name))

/** What a file imports when it is loaded: not types, not what it imports later. */
function importsOf(file: string): { path: string; isType: boolean }[] {
  const text = readFileSync(file, 'utf8')
  const statements = text.matchAll(
    /^(?:import|export)\s(type\s)?[^'"()]*?from\s'([^']+)'|^import '([^']+)'/gms
  )
  return Array.from(statements, ([, type, from, bare]) => ({
    path: from ?? bare!,
    isType: type !== undefined
  }))
}

function roomOf(file: string): string {
  return relative(SRC, file).split('/')[0]!
}

describe('imports', () => {
  it.each(Object.keys(MAY_IMPORT))('of %s point down only', room => {
    const wrong = files
      .filter(file => roomOf(file) === room)
      .flatMap(file =>
        importsOf(file)
          .filter(({ path }) => path.startsWith('.'))
          .map(({ path }) => roomOf(resolve(dirname(file), path)))
          .filter(target => target !== room && !MAY_IMPORT[room]!.includes(target))
          .map(target => `${relative(SRC, file)} imports ${target}`)
      )
    expect(wrong).toEqual([])
  })

  it('nothing but the entry lies outside a known room', () => {
    expect([...new Set(files.map(roomOf))].sort()).toEqual([...Object.keys(MAY_IMPORT), 'index.ts'].sort())
  })

  it.each(FOR_BROWSERS)('of %s, followed to the end, need nothing of Node', room => {
    const seen = new Set<string>()
    const found: string[] = []
    const follow = (file: string): void => {
      if (seen.has(file)) return
      seen.add(file)
      for (const { path, isType } of importsOf(file)) {
        if (isType) continue
        if (path.startsWith('node:')) found.push(`${relative(SRC, file)} imports ${path}`)
        if (path.startsWith('.')) follow(resolve(dirname(file), path))
      }
    }
    for (const file of files) if (relative(SRC, file).startsWith(room)) follow(file)
    expect(seen.size).toBeGreaterThan(0)
    expect(found).toEqual([])
  })
})

describe('what runs in a thread', () => {
  const threads = files.filter(file => importsOf(file).some(({ path }) => path === 'node:worker_threads'))
  const started = threads.filter(file => readFileSync(file, 'utf8').includes('parentPort'))

  // V8 ends the process when a thread is ended while a module is loaded that does (https://github.com/nodejs/node/issues/53238).
  it.each(started.map(file => relative(SRC, file)))(
    '%s, with all it imports, awaits nothing while it is loaded',
    file => {
      const { stderr } = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(join(SRC, file))})`], {
        encoding: 'utf8'
      })
      expect(stderr).not.toContain('ERR_REQUIRE_ASYNC_MODULE')
      expect(stderr).not.toContain('ERR_MODULE_NOT_FOUND')
    }
  )

  it('is known', () => {
    expect(started.length).toBeGreaterThanOrEqual(3)
  })
})
