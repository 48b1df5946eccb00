import { readFile, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createHome, NoHomeError, requireHome } from '../../src/node/home.ts'
import { homePath, UnexpectedUrlError } from '../../src/node/home-path.ts'
import { loadConfig } from '../../src/node/load-config.ts'
import { scratch } from './support.ts'

describe('the home', () => {
  it('is the one given, else that of the environment, else in the own folder', () => {
    expect(homePath('/a', { BLOBS_HOME: '/b' })).toBe('/a')
    expect(homePath(undefined, { BLOBS_HOME: '/b' })).toBe('/b')
    expect(homePath(undefined, { BLOBS_HOME: '' })).toBe(join(homedir(), '.blobs'))
    expect(homePath(undefined, {})).toBe(join(homedir(), '.blobs'))
  })

  it('is no URL, and what is secret in one is not shown', () => {
    const url = 's3://key:hunter2@localhost:9000/bucket'
    for (const find of [() => homePath(url), () => homePath(undefined, { BLOBS_HOME: url })]) {
      expect(find).toThrow('named by its folder')
      expect(find).not.toThrow('hunter2')
    }
    expect(homePath('/a://b')).toBe('/a:/b')
  })

  it('is made for its owner only, and left alone when it is there', async () => {
    await using folder = await scratch()
    const home = folder.in('deep', 'home')
    expect(await createHome(home)).toBe(true)
    expect((await stat(home)).mode & 0o777).toBe(0o700)
    await writeFile(join(home, 'config.toml'), 'log_level = "quiet"')
    expect(await createHome(home)).toBe(false)
    expect(await readFile(join(home, 'config.toml'), 'utf8')).toBe('log_level = "quiet"')
    await requireHome(home)
  })

  it('is made with a store, whose secret its owner alone can read', async () => {
    await using folder = await scratch()
    const home = folder.in('home')
    const store = {
      type: 's3',
      endpoint: 'http://localhost:9000',
      bucket: 'blobs',
      accessKey: 'key',
      secretKey: 'secret'
    } as const
    expect(await createHome(home, store)).toBe(true)
    expect((await loadConfig(home)).blobStore).toMatchObject(store)
    expect((await stat(join(home, 'config.toml'))).mode & 0o777).toBe(0o600)
    expect(await createHome(home, { type: 'legacy' })).toBe(false)
    expect((await loadConfig(home)).blobStore).toMatchObject(store)
  })

  it('is not any folder', async () => {
    await using folder = await scratch()
    await expect(requireHome(folder.path)).rejects.toThrow(NoHomeError)
    await expect(requireHome(folder.in('nowhere'))).rejects.toThrow('blobs init')
  })

  it('can be made by several at once, one of which has made it', async () => {
    await using folder = await scratch()
    const made = await Promise.all(Array.from({ length: 8 }, () => createHome(folder.in('home'))))
    expect(made.filter(Boolean)).toHaveLength(1)
  })
})

describe('the path of a home', () => {
  it.each([
    's3:/key:hunter2@host/b',
    'key:hunter2@host/b',
    'http://key:hunter2@host',
    'legacy:s3://key:hunter2@h/b'
  ])('is no URL, and %s is not shown', path => {
    const error = (() => {
      try {
        return homePath(path)
      } catch (error) {
        return error
      }
    })()
    expect(error).toBeInstanceOf(UnexpectedUrlError)
    expect(String(error)).not.toContain('hunter2')
  })

  it.each(['./a:b', '/tmp/me@home', 'C:\\blobs', 'user@host'])('may be %s', path => {
    expect(homePath(path)).toContain(path.replace(/^\.\//, ''))
  })
})
