import { expect, it } from 'vitest'
import { RecentVersions } from '../../../src/store/legacy-fs/recent-versions.ts'

it('knows the last ones, the newest version of each, and forgets what is old or deleted', () => {
  const recent = new RecentVersions(100)
  recent.set('old', '1')
  for (let i = 0; i < 1000; i++) {
    recent.set(`${i}`, 'first')
    recent.set(`${i}`, 'second')
    recent.set('again', `${i}`)
    recent.set(`${i} gone`, '1')
    recent.delete(`${i} gone`)
    for (let j = Math.max(0, i - 90); j <= i; j++) expect(recent.get(`${j}`)).toBe('second')
    expect(recent.get('again')).toBe(`${i}`)
    expect(recent.get(`${i} gone`)).toBeUndefined()
  }
  expect(recent.get('old')).toBeUndefined()
  expect(recent.get('700')).toBeUndefined()
})
