/** What the scripts of `bin/` share. */
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { S3TestServer } from '../helpers/s3-server/index.ts'
import { Sandbox } from './support.ts'

describe('bin/utils', () => {
  let sandbox: Sandbox

  beforeEach(async () => {
    sandbox = await Sandbox.create()
  })
  afterEach(async () => {
    await sandbox[Symbol.asyncDispose]()
  })

  it('creates buckets, once and again, and says why it cannot', async () => {
    await using server = await S3TestServer.start()
    const make = (secret: string, bucket: string) =>
      sandbox.utils(`make_bucket ${server.url} ${server.accessKey} ${secret} ${bucket}`)
    for (const bucket of ['new-bucket', 'new-bucket', server.bucket]) {
      expect((await make(server.secretKey, bucket)).code).toBe(0)
    }
    expect(server.requests.of('CreateBucket').map(({ bucket, status }) => [bucket, status])).toEqual([
      ['new-bucket', 200],
      ['new-bucket', 200],
      [server.bucket, 200]
    ])
    const wrong = await make('wrong-secret', 'another')
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('status 403') })
    expect(wrong.stderr).not.toContain('wrong-secret')
    await server.stop()
    expect(await make(server.secretKey, 'another')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot create bucket another')
    })
  })

  it('finds ports that are free, and sees those that are not', async () => {
    const { stdout } = await sandbox.utils('free_ports 3')
    const servers = [0, 1, 2].map(i => createServer().listen(Number(stdout) + i, '127.0.0.1'))
    await Promise.all(servers.map(server => new Promise(resolve => server.once('listening', resolve))))
    const taken = await sandbox.utils(`is_listening ${stdout.trim()} && echo taken`)
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
    expect(taken.stdout).toBe('taken\n')
    expect((await sandbox.utils(`is_listening ${stdout.trim()}`)).code).toBe(1)
  })

  it('takes only ports for ports', async () => {
    for (const port of ['1', '9000', '65535'])
      expect((await sandbox.utils(`is_port ${port}`)).code, port).toBe(0)
    for (const port of ['0', '65536', '99999999999999999999', '-1', 'http', "''", "'1 2'"]) {
      expect((await sandbox.utils(`is_port ${port}`)).code, port).not.toBe(0)
    }
  })

  it('takes no other process for the one it started', async () => {
    const pidFile = join(sandbox.folder, 'pid')
    const isAlive = async (text: string) =>
      (await sandbox.utils(`is_alive '${pidFile}' '${text}'`)).code === 0
    expect(await isAlive('vitest')).toBe(false)
    await writeFile(pidFile, `${process.pid}`)
    expect(await isAlive('no process has such an argument')).toBe(false)
    await writeFile(pidFile, '')
    expect(await isAlive('')).toBe(false)
  })

  it('ends what it has launched', async () => {
    const { code, stdout } = await sandbox.utils(`
      launch '${sandbox.folder}/pid' '${sandbox.folder}/log' sleep 1234
      is_alive '${sandbox.folder}/pid' 'sleep 1234' && echo runs
      end '${sandbox.folder}/pid' 'sleep 1234'
      is_alive '${sandbox.folder}/pid' 'sleep 1234' || echo ended`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'runs\nended\n' })
  })

  it('waits no longer than it is told to', async () => {
    expect((await sandbox.utils('wait_for 1 false')).code).toBe(1)
    expect((await sandbox.utils('wait_for 60 true')).code).toBe(0)
  })
})
