/** What the model knows of purses: their state after each posting, and what it was at any time before. Plain sums, no cleverness. */

interface Then {
  readonly atMs: number
  readonly balance: number
  readonly marks: number
  readonly spent: Count
  readonly withdrawn: Count
}

export interface Count {
  readonly amount: number
  readonly count: number
}

export type Group = 'spending' | 'withdrawal'

export class ModelPurse {
  readonly id: number
  balance: number
  held = 0
  version: number
  marks = 0
  cycle: string | null
  /** What was counted of a day, by group and day. */
  readonly #counts = new Map<string, Count>()
  readonly #then: Then[] = []

  constructor(id: number, balance: number, version: number, cycle: string | null) {
    this.id = id
    this.balance = balance
    this.version = version
    this.cycle = cycle
    this.remember(-Infinity, '')
  }

  count(group: Group, day: string): Count {
    return this.#counts.get(`${group} ${day}`) ?? { amount: 0, count: 0 }
  }

  add(group: Group, day: string, amount: number, count: number): void {
    const before = this.count(group, day)
    this.#counts.set(`${group} ${day}`, {
      amount: Math.max(0, before.amount + amount),
      count: Math.max(0, before.count + count),
    })
  }

  remember(atMs: number, day: string): void {
    const { balance, marks } = this
    const [spent, withdrawn] = [this.count('spending', day), this.count('withdrawal', day)]
    this.#then.push({ atMs, balance, marks, spent, withdrawn })
  }

  /** Whether it was so at any time from an instant on. */
  wasEver(fromMs: number, so: (then: Then) => boolean): boolean {
    for (let at = this.#then.length - 1; at >= 0; at--) {
      const then = this.#then[at]
      if (then === undefined) return false
      if (so(then)) return true
      // The state at that instant is the last one before it.
      if (then.atMs < fromMs) return false
    }
    return false
  }

  /** The least it held at any time from an instant on. */
  least(fromMs: number): number {
    let least = this.balance
    this.wasEver(fromMs, ({ balance }) => {
      least = Math.min(least, balance)
      return false
    })
    return least
  }
}
