/**
 * What an operator does whose blobs are in a bucket, with the commands and in processes of their own. Against the server that
 * `BLOBS_TEST_S3_URL` names, or the test server. Needs dist, which `npm run build` makes.
 */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  digestOf,
  type Event,
  killAll,
  MIB,
  MOST_RSS_MIB,
  randomFile,
  rssMibOf,
  run
} from '../helpers/commands.ts'
import { Cuttable } from '../helpers/cuttable.ts'
import { minioClient, type S3UnderTest, s3UnderTest } from '../helpers/s3.ts'
import { Throttle } from '../helpers/throttle.ts'

/** Several times what a process may hold in memory. */
const LARGE = 640 * MIB

/** A home with nothing but an identity, a configuration and a database. */
const MOST_HOME_BYTES = 10 * MIB

let s3: S3UnderTest
let dir: string
let homes = 0

beforeAll(async () => {
  s3 = await s3UnderTest()
  dir = await mkdtemp(join(tmpdir(), 'blobs-s3-'))
})

afterEach(killAll)

afterAll(async () => {
  killAll()
  await rm(dir, { recursive: true, force: true })
  await s3?.stop()
})

/** Runs a command to its end. */
async function command(home: string, ...args: string[]) {
  const running = run(home, dir, args)
  const code = await running.exit
  return { code, events: running.events, stderr: running.stderr, peakRssMib: running.peakRssMib }
}

/** Makes a home whose blobs are in the bucket, or in a folder. */
async function newHome(prefix?: string, endpoint = s3.endpoint): Promise<string> {
  const home = join(dir, `home-${++homes}`)
  const { host, protocol } = new URL(endpoint)
  const query = `region=${s3.region}${protocol === 'https:' ? '&tls=true' : ''}`
  const url = `s3://${s3.accessKey}:${s3.secretKey}@${host}/${s3.bucket}/${prefix ?? ''}?${query}`
  const store = prefix === undefined ? [] : ['--store', 's3', '--s3-url', url]
  const { code, stderr } = await command(home, 'init', ...store)
  expect(stderr).not.toContain(s3.secretKey)
  expect(code, stderr).toBe(0)
  return home
}

async function serve(home: string) {
  const serving = run(home, dir, ['serve'])
  const listening = await serving.event(({ event }) => event === 'listening')
  return { ...serving, serving, addr: String((listening.addrs as string[])[0]) }
}

async function stop({
  child,
  exit
}: {
  child: { kill(signal: 'SIGINT'): boolean }
  exit: Promise<number | null>
}) {
  child.kill('SIGINT')
  expect(await exit).toBe(0)
}

async function added(home: string, path: string): Promise<{ hash: string; peakRssMib: number }> {
  const { code, events, stderr, peakRssMib } = await command(home, 'add', path)
  expect(code, stderr).toBe(0)
  return { hash: String(events.find(({ event }) => event === 'added')!.hash), peakRssMib }
}

/** Writes a blob of a home to a file, from its own store. */
async function exported(home: string, hash: string): Promise<string> {
  const path = join(dir, `out-${Math.random().toString(36).slice(2)}`)
  const { code, stderr } = await command(home, 'get', hash, '-o', path)
  expect(code, stderr).toBe(0)
  const digest = await digestOf(path)
  await rm(path)
  return digest
}

async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true })
  const sizes = await Promise.all(names.map(async name => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

const isProgress = ({ event }: Event): boolean => event === 'progress'

describe(`a node with its blobs in a bucket`, () => {
  it('adds a large blob and serves it, and receives one, in bounded memory and with nothing on its disk', async () => {
    const inBucket = await newHome(s3.newPrefix())
    const inFolder = await newHome()
    const ours = await randomFile(join(dir, 'ours'), LARGE + 17)
    const theirs = await randomFile(join(dir, 'theirs'), LARGE + 17)
    const mine = await added(inBucket, ours.path)
    expect(mine.peakRssMib).toBeLessThan(MOST_RSS_MIB)
    const { hash: other } = await added(inFolder, theirs.path)
    await Promise.all([rm(ours.path), rm(theirs.path)])

    const server = await serve(inBucket)
    const fetched = await command(inFolder, 'get', mine.hash, '--peer', server.addr)
    expect(fetched.code, fetched.stderr).toBe(0)
    expect(rssMibOf(server.child.pid!)).toBeLessThan(MOST_RSS_MIB)
    await stop(server)
    expect(await exported(inFolder, mine.hash)).toBe(ours.digest)

    const reverse = await serve(inFolder)
    const received = await command(inBucket, 'get', other, '--peer', reverse.addr)
    expect(received.code, received.stderr).toBe(0)
    expect(received.peakRssMib).toBeLessThan(MOST_RSS_MIB)
    await stop(reverse)
    expect(await exported(inBucket, other)).toBe(theirs.digest)
    expect(await bytesIn(inBucket)).toBeLessThan(MOST_HOME_BYTES)
    await rm(inFolder, { recursive: true })
  })

  it('is made anew from the bucket: blobs, partial blobs and tags; what was changed there is not served', async () => {
    const prefix = s3.newPrefix()
    const home = await newHome(prefix)
    const source = await newHome()
    const small = await randomFile(join(dir, 'small'), 3 * MIB)
    const large = await randomFile(join(dir, 'large'), 40 * MIB)
    const coming = await randomFile(join(dir, 'coming'), 200 * MIB)
    const [smallHash, largeHash] = [await added(home, small.path), await added(home, large.path)].map(
      a => a.hash
    )
    const { hash: comingHash } = await added(source, coming.path)
    const server = await serve(source)
    await using throttle = new Throttle(100 * MIB)
    const cut = run(home, dir, ['get', comingHash, '--peer', await throttle.before(server.addr)])
    await cut.event(event => isProgress(event) && Number(event.received) > 60 * MIB)
    cut.child.kill('SIGKILL')
    await cut.exit

    for (const name of await readdir(home)) if (name.includes('.db')) await rm(join(home, name))
    const recovered = await command(home, 'recover')
    expect(recovered.code, recovered.stderr).toBe(0)
    const report = recovered.events.find(({ event }) => event === 'recovered')!
    expect(report).toMatchObject({ complete: 2, partial: 1, corrupt: 0 })
    expect(Number(report.tags)).toBeGreaterThan(0)
    expect(await exported(home, smallHash!)).toBe(small.digest)
    expect(await exported(home, largeHash!)).toBe(large.digest)
    const rest = await command(home, 'get', comingHash, '--peer', server.addr)
    expect(rest.code, rest.stderr).toBe(0)
    const done = rest.events.find(({ event }) => event === 'done')!
    expect(Number(done.had)).toBeGreaterThan(30 * MIB)
    expect(await exported(home, comingHash)).toBe(coming.digest)
    await stop(server)

    await flipByte(prefix, largeHash!)
    const found = await command(home, 'recover')
    expect(found.code).not.toBe(0)
    expect(found.events.find(({ event }) => event === 'recovered')).toMatchObject({ complete: 2, corrupt: 1 })
    const gone = await command(home, 'get', largeHash!, '-o', join(dir, 'never'))
    expect(gone.code).not.toBe(0)
    expect(await readdir(dir)).not.toContain('never')
  })

  it('is killed five times while it receives a large blob, and little is sent twice', async () => {
    const home = await newHome(s3.newPrefix())
    const source = await newHome()
    const file = await randomFile(join(dir, 'killed-often'), LARGE)
    const { hash } = await added(source, file.path)
    await rm(file.path)
    const server = await serve(source)
    let sent = 0
    let had = 0
    const twice: number[] = []
    for (let kills = 0; kills < 5; kills++) {
      const stopAfter = (20 + Math.random() * 60) * MIB
      // So that it is in its middle when it is killed, however late that is.
      await using throttle = new Throttle(stopAfter + 24 * MIB)
      const receiving = run(home, dir, ['get', hash, '--peer', await throttle.before(server.addr)])
      const event = await receiving.event(
        event => event.event === 'done' || (isProgress(event) && Number(event.received) > stopAfter)
      )
      expect(event.event).toBe('progress')
      receiving.child.kill('SIGKILL')
      await receiving.exit
      const last = receiving.events.filter(isProgress).at(-1)!
      if (kills > 0) twice.push(had + sent - Number(last.had))
      had = Number(last.had)
      sent = Number(last.received)
    }
    const last = await command(home, 'get', hash, '--peer', server.addr)
    expect(last.code, last.stderr).toBe(0)
    twice.push(had + sent - Number(last.events.find(({ event }) => event === 'done')!.had))
    expect(Math.max(...twice)).toBeLessThan(32 * MIB)
    await stop(server)
    expect(await exported(home, hash)).toBe(file.digest)
    await rm(source, { recursive: true })
  })

  it('goes on, or ends in a clear error, when the server stops for 10 s in the middle', async () => {
    const proxy = await Cuttable.before(s3.endpoint)
    const prefix = s3.newPrefix()
    const home = await newHome(prefix, proxy.endpoint)
    const source = await newHome()
    const file = await randomFile(join(dir, 'interrupted'), 300 * MIB)
    const { hash } = await added(source, file.path)
    const outage = async (): Promise<void> => {
      await proxy.cut()
      await new Promise(resolve => setTimeout(resolve, 10_000))
      await proxy.restore()
    }

    const server = await serve(source)
    const receiving = run(home, dir, ['get', hash, '--peer', server.addr])
    await receiving.event(event => isProgress(event) && Number(event.received) > 50 * MIB)
    await outage()
    if ((await receiving.exit) !== 0) {
      expect(receiving.events.at(-1)).toMatchObject({ event: 'error' })
      const again = await command(home, 'get', hash, '--peer', server.addr)
      expect(again.code, again.stderr).toBe(0)
    }
    await stop(server)

    const inBucket = await serve(home)
    const other = await newHome()
    const fetching = run(other, dir, ['get', hash, '--peer', inBucket.addr])
    await fetching.event(event => isProgress(event) && Number(event.received) > 50 * MIB)
    await outage()
    if ((await fetching.exit) !== 0) {
      expect(fetching.events.at(-1)).toMatchObject({ event: 'error' })
      const again = await command(other, 'get', hash, '--peer', inBucket.addr)
      expect(again.code, again.stderr).toBe(0)
    }
    await stop(inBucket)
    expect(await exported(other, hash)).toBe(file.digest)
    await proxy.cut()
  })

  it('serves at once what another node has added to the bucket', async () => {
    const prefix = s3.newPrefix()
    const first = await newHome(prefix)
    const second = await newHome(prefix)
    const config = join(second, 'config.toml')
    const section = /^\[blob_store\]$/m
    await writeFile(config, (await readFile(config, 'utf8')).replace(section, '$&\nread_through = true'))
    const server = await serve(second)
    const file = await randomFile(join(dir, 'shared'), 20 * MIB)
    const { hash } = await added(first, file.path)
    const client = await newHome()
    const fetched = await command(client, 'get', hash, '--peer', server.addr)
    expect(fetched.code, fetched.stderr).toBe(0)
    expect(await exported(client, hash)).toBe(file.digest)
    await stop(server)
  })
})

/** Changes one byte in the middle of a blob's data in the bucket. */
async function flipByte(prefix: string, hash: string): Promise<void> {
  const client = minioClient(s3)
  const { Hash } = await import('../../src/hash.ts')
  const key = `${prefix}blobs/${Hash.parse(hash).toBase32()}/data`
  const pieces = await Array.fromAsync(await client.getObject(s3.bucket, key))
  const bytes = Buffer.concat(pieces as Buffer[])
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  await client.putObject(s3.bucket, key, bytes, bytes.length)
}
