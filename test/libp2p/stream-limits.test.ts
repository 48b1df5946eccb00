import { describe, expect, it } from 'vitest'
import { StreamLimits } from '../../src/libp2p/stream-limits.ts'

/** Places for guests with names, whose peer is the first letter; those in lower case are idle. */
function places(perPeer: number, total: number) {
  const limits = new StreamLimits(perPeer, total)
  const lost: string[] = []
  const enter = (name: string) =>
    limits.enter(name[0]!.toUpperCase(), {
      isIdle: () => name[0] === name[0]!.toLowerCase(),
      onLost: () => lost.push(name)
    })
  const enterAll = (...names: readonly string[]) => names.filter(name => enter(name) !== undefined)
  return { enter, enterAll, lost }
}

describe('places for streams', () => {
  it('are so many for a peer, and so many in all', () => {
    const { enter, enterAll, lost } = places(2, 3)
    expect(enterAll('A1', 'A2', 'A3', 'B1', 'C1')).toEqual(['A1', 'A2', 'B1'])
    expect(lost).toEqual([])
    const { enter: enterOther } = places(1, 1)
    const leave = enterOther('A1')!
    leave()
    expect(enterOther('A2')).toBeDefined()
    // That place is not the first one's any more.
    leave()
    expect(enterOther('B1')).toBeUndefined()
    expect(enter('B2')).toBeUndefined()
  })

  it('are counted one by one where the same guest has several', () => {
    const limits = new StreamLimits(2, 3)
    const guest = { isIdle: () => false, onLost: () => undefined }
    for (let round = 0; round < 3; round++) {
      const leaves = ['A', 'A', 'A', 'B', 'C'].map(peer => limits.enter(peer, guest))
      expect(leaves.map(leave => leave !== undefined)).toEqual([true, true, false, true, false])
      for (const leave of leaves) leave?.()
    }
  })

  it('go over from who has most, and is waited for, to who has fewer, the oldest first, until they have as many', () => {
    const { enterAll, lost } = places(8, 8)
    enterAll('B1', 'b2', 'b3', 'A1', 'a2', 'a3', 'a4', 'A5')
    expect(enterAll('C1', 'C2', 'C3', 'C4')).toEqual(['C1', 'C2'])
    expect(lost).toEqual(['a2', 'a3'])
    expect(enterAll('D1', 'D2', 'D3')).toEqual(['D1', 'D2'])
    expect(lost).toEqual(['a2', 'a3', 'b2', 'a4'])
  })

  it('are kept by who has one, however long it has been idle', () => {
    const { enterAll, lost } = places(2, 2)
    expect(enterAll('a1', 'b1', 'C1')).toEqual(['a1', 'b1'])
    expect(lost).toEqual([])
  })
})
