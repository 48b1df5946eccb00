/** One signature for many reads of an object. */
import type { RequestOptions } from 'node:http'
import { expect, it } from 'vitest'
import { MOST_SIGNED, SIGNED_MS } from '../../../../src/store/object/storage/s3/constants.ts'
import { SignedGets } from '../../../../src/store/object/storage/s3/signed-gets.ts'

function counting(): { gets: SignedGets; signed: string[]; clock: { now: number } } {
  const signed: string[] = []
  const clock = { now: 1_700_000_000_000 }
  const sign = async (key: string): Promise<RequestOptions> => {
    signed.push(key)
    return { path: `/bucket/${key}`, headers: { authorization: `signature ${signed.length}` } }
  }
  return { gets: new SignedGets(sign, () => clock.now), signed, clock }
}

it('is used for all ranges of an object, and for no other object', async () => {
  const { gets } = counting()
  expect(await gets.request('a', 'bytes=0-9')).toEqual({
    path: '/bucket/a',
    headers: { authorization: 'signature 1', range: 'bytes=0-9' }
  })
  expect(await gets.request('a', 'bytes=10-19')).toEqual({
    path: '/bucket/a',
    headers: { authorization: 'signature 1', range: 'bytes=10-19' }
  })
  expect(await gets.request('b', 'bytes=0-9')).toMatchObject({
    path: '/bucket/b',
    headers: { authorization: 'signature 2' }
  })
})

it('is made anew when it is old, when the clock was set back, and when the server has refused it', async () => {
  const { gets, signed, clock } = counting()
  await gets.request('a', 'bytes=0-9')
  clock.now += SIGNED_MS - 1
  await gets.request('a', 'bytes=0-9')
  expect(signed).toHaveLength(1)
  clock.now += 1
  await gets.request('a', 'bytes=0-9')
  expect(signed).toHaveLength(2)
  clock.now -= 3_600_000
  await gets.request('a', 'bytes=0-9')
  expect(signed).toHaveLength(3)
  gets.forget('a')
  await gets.request('a', 'bytes=0-9')
  expect(signed).toHaveLength(4)
})

it('is kept for so many objects and no more', async () => {
  const { gets, signed } = counting()
  for (let i = 0; i <= MOST_SIGNED; i++) await gets.request(`${i}`, 'bytes=0-9')
  await gets.request(`${MOST_SIGNED}`, 'bytes=0-9')
  await gets.request('1', 'bytes=0-9')
  expect(signed).toHaveLength(MOST_SIGNED + 1)
  await gets.request('0', 'bytes=0-9')
  expect(signed).toHaveLength(MOST_SIGNED + 2)
})
