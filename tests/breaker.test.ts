import { describe, expect, it } from 'vitest'
import { Breaker, NotAsked, type BreakerState } from '../src/breaker.ts'
import type { Hsm } from '../src/security/hsm.ts'
import { guardedHsm } from '../src/security/guardedHsm.ts'
import { Watch, type Watched } from '../src/watch.ts'
import { ManualClock } from './support/manualClock.ts'

function openBreaker(): { clock: ManualClock; breaker: Breaker; states: BreakerState[] } {
  const clock = new ManualClock()
  const states: BreakerState[] = []
  const breaker = new Breaker({ failuresMax: 3, retryMs: 500, clock, onChange: (state) => states.push(state) })
  return { clock, breaker, states }
}

describe('a breaker', () => {
  it('opens after failures in a row, and not before', () => {
    const { breaker } = openBreaker()
    for (const call of ['failed', 'failed', 'succeeded', 'failed', 'failed'] as const) breaker[call]()
    expect([breaker.state, breaker.admits()]).toEqual(['closed', true])
    breaker.failed()
    expect([breaker.state, breaker.admits()]).toEqual(['open', false])
  })

  it('lets one call through after a while, and all when that one succeeds', () => {
    const { clock, breaker, states } = openBreaker()
    for (let i = 0; i < 5; i++) breaker.failed()
    clock.pass(499)
    expect(breaker.admits()).toBe(false)
    clock.pass(1)
    expect([breaker.state, breaker.admits(), breaker.admits()]).toEqual(['half-open', true, false])
    breaker.succeeded()
    expect([breaker.admits(), breaker.admits()]).toEqual([true, true])
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })

  it('opens again for as long where that one fails', () => {
    const { clock, breaker, states } = openBreaker()
    for (let i = 0; i < 3; i++) breaker.failed()
    clock.pass(500)
    expect(breaker.admits()).toBe(true)
    breaker.failed()
    expect(breaker.admits()).toBe(false)
    clock.pass(500)
    expect(breaker.admits()).toBe(true)
    expect(states).toEqual(['open', 'half-open', 'open', 'half-open'])
  })
})

describe('the HSM behind a breaker', () => {
  it('is not asked after calls that came to no end, until one succeeds', async () => {
    const { clock, breaker } = openBreaker()
    let answer: () => Promise<[]> = () => Promise.withResolvers<[]>().promise
    let asked = 0
    const hsm = {
      macs: () => {
        asked++
        return answer()
      },
    } as unknown as Hsm
    const guarded = guardedHsm(hsm, { breaker, clock, callMs: 100 })
    for (let call = 0; call < 3; call++) {
      const waited = guarded.macs([])
      clock.pass(100)
      await expect(waited).rejects.toThrow(NotAsked)
    }
    await expect(guarded.macs([])).rejects.toThrow(NotAsked)
    expect(asked).toBe(3)
    answer = () => Promise.resolve([])
    clock.pass(500)
    expect(await guarded.macs([])).toEqual([])
    expect([breaker.state, asked]).toEqual(['closed', 4])
  })

  it('is not asked either after calls that blocked the process for too long', async () => {
    const { clock, breaker } = openBreaker()
    const blocking = {
      macs: () => {
        clock.pass(150)
        return Promise.resolve([])
      },
    } as unknown as Hsm
    // The timer of a process that is blocked runs only afterwards.
    const timerless = { now: () => clock.now(), after: () => () => undefined, soon: () => undefined }
    const guarded = guardedHsm(blocking, { breaker, clock: timerless, callMs: 100 })
    for (let call = 0; call < 3; call++) expect(await guarded.macs([])).toEqual([])
    await expect(guarded.macs([])).rejects.toThrow(NotAsked)
  })
})

describe('a watch', () => {
  interface Waiting extends Watched<Waiting> {
    readonly name: string
    isWithLedger: boolean
  }

  const nobody = { isWithLedger: false, enteredTick: 0, isWatched: false, earlier: undefined, later: undefined }

  function watching(deadlineMs = 1000): {
    clock: ManualClock
    watch: Watch<Waiting>
    late: string[]
    enter: (name: string) => Waiting
  } {
    const clock = new ManualClock()
    const late: string[] = []
    const watch = new Watch<Waiting>({
      clock,
      deadlineMs,
      delayMaxMs: 500,
      overdue: (one) => {
        late.push(one.name)
        watch.leave(one, false)
      },
    })
    const enter = (name: string): Waiting => {
      const one: Waiting = { ...nobody, name }
      watch.enter(one)
      return one
    }
    return { clock, watch, late, enter }
  }

  it('tells of whatever waits past its deadline, once; what the ledger has a little later', () => {
    const { clock, watch, late, enter } = watching()
    enter('first').isWithLedger = true
    enter('second')
    const third = enter('third')
    clock.pass(500)
    enter('fourth')
    watch.leave(third, true)
    clock.pass(450)
    expect(late).toEqual([])
    clock.pass(150)
    expect(late).toEqual(['second'])
    clock.pass(200)
    expect(late).toEqual(['second', 'first'])
    clock.pass(5000)
    expect(late).toEqual(['second', 'first', 'fourth'])
    expect(watch.size).toBe(0)
  })

  it('keeps the others when one of them leaves, from wherever in the line, and lets who left go', () => {
    const { clock, watch, late, enter } = watching()
    const [, b, c] = [enter('a'), enter('b'), enter('c')]
    watch.leave(b, true)
    watch.leave(c, true)
    const d = enter('d')
    expect([b, c].map(({ earlier, later }) => [earlier, later])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ])
    expect(d.earlier?.name).toBe('a')
    clock.pass(1100)
    expect(late).toEqual(['a', 'd'])
    expect(watch.size).toBe(0)
  })

  it('does not tell of who left because another was late, nor lose who came after', () => {
    const clock = new ManualClock()
    const late: string[] = []
    const named = (name: string): Waiting => ({ ...nobody, name })
    const [first, second, third] = [named('first'), named('second'), named('third')]
    const watch = new Watch<Waiting>({
      clock,
      deadlineMs: 1000,
      delayMaxMs: 500,
      overdue: (one) => {
        late.push(one.name)
        watch.leave(second, false)
        if (one === first) watch.enter(named('fourth'))
      },
    })
    for (const one of [first, second, third]) watch.enter(one)
    clock.pass(1100)
    expect(late).toEqual(['first', 'third'])
    expect(watch.size).toBe(1)
    clock.pass(1500)
    expect(late).toEqual(['first', 'third', 'fourth'])
    expect(watch.size).toBe(0)
  })

  it('is crowded while even the quickest take too long, and no longer', () => {
    const { clock, watch, enter } = watching(10_000)
    const slow = [enter('a'), enter('b'), enter('c')]
    clock.pass(700)
    watch.leave(slow[0]!, true)
    clock.pass(300)
    expect(watch.isCrowded).toBe(true)
    const quick = enter('d')
    watch.leave(quick, true)
    clock.pass(500)
    expect(watch.isCrowded).toBe(false)
  })

  it('is not crowded by one that is slow among others that are quick', () => {
    const { clock, watch, enter } = watching()
    const slow = enter('slow')
    enter('waits')
    clock.pass(800)
    watch.leave(enter('quick'), true)
    watch.leave(slow, true)
    clock.pass(200)
    expect(watch.isCrowded).toBe(false)
  })
})
