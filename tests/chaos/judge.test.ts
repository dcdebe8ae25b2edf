/** The judge of the chaos run is given journals and ledgers that do not agree, and says of each what is wrong. */
import { describe, expect, test } from 'vitest'
import { demoTerminals, type DemoTerminal } from '../../src/programme/demo.ts'
import { KIND } from '../../src/transaction/transaction.ts'
import { Journal, type Answer, type MessageKind, type Sent } from './support/journal.ts'
import { judge, type Evidence, type Finding } from './support/judge.ts'
import type { Decision, PurseRow } from './support/ledgerView.ts'
import { chaosReport, reportText } from './support/report.ts'

const CASH = 7
const BREAD = 8
const OPENING = 10_000
const shop = terminalOf('pos')
const holder = { pan: '9818010000000218', purses: { cash: CASH, ration: 9, bread: BREAD, points: 10 } }

describe('the judge', () => {
  test('has nothing to say where journal and ledger agree', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, approved(500))
    scene.posted(sale, -500)
    const refund = scene.sent('refund', 200, approved(200), sale)
    scene.posted(refund, 200)
    const unanswered = scene.sent('purchase', 300, undefined)
    scene.posted(unanswered, -300)
    scene.posted(scene.sent('reversal', 300, approved(300), unanswered), 300)
    scene.sent('purchase', 700, declined('51'))
    const hold = scene.sent('authorize', 400, approved(400))
    scene.posted(hold, -400, { heldBy: 400 })
    expect(scene.findings()).toEqual([])
  })

  test('finds an approval that the ledger does not hold', () => {
    const scene = new Scene()
    scene.sent('purchase', 500, approved(500))
    expect(scene.crimes()).toEqual(['approvals lost', 'purses not as the terminals say'])
  })

  test('finds an approval that is there with another amount', () => {
    const scene = new Scene()
    scene.posted(scene.sent('purchase', 500, approved(500)), -600, { approved: 600 })
    expect(scene.crimes()).toEqual(['approvals lost', 'purses not as the terminals say'])
  })

  test('finds a sale that is posted twice', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, approved(500))
    scene.posted(sale, -500)
    scene.posted(sale, -500)
    expect(scene.crimes()).toEqual(['posted twice', 'purses not as the terminals say'])
  })

  test('finds an advice that is posted under its key and by force', () => {
    const scene = new Scene()
    const hold = scene.sent('authorize', 500, approved(500))
    scene.posted(hold, -500)
    const completion = scene.sent('complete', 500, approved(500), hold)
    scene.posted(completion, 0)
    scene.posted(completion, 0, { suffix: '|F' })
    expect(scene.crimes()).toEqual(['posted twice'])
  })

  test('finds a posting of what the terminal was refused', () => {
    const scene = new Scene()
    scene.posted(scene.sent('purchase', 500, declined('91')), -500)
    expect(scene.crimes()).toEqual(['refused and posted', 'purses not as the terminals say'])
  })

  test('finds a reversal that gave nothing back', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, undefined)
    scene.posted(sale, -500)
    scene.posted(scene.sent('reversal', 500, approved(500), sale), 0, { approved: 0 })
    expect(scene.crimes()).toEqual(['reversed and not given back', 'purses not as the terminals say'])
  })

  test('finds a late original that was posted after its reversal', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, undefined)
    scene.posted(scene.sent('reversal', 500, approved(500), sale), 0, { approved: 0 })
    scene.posted(sale, -500)
    expect(scene.crimes()).toContain('reversed and not given back')
  })

  test('finds that a terminal was told two things', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, approved(500))
    scene.posted(sale, -500)
    sale.answers.push(declined('91'))
    expect(scene.crimes()).toEqual(['told two things'])
  })

  test('finds a posting that nobody asked for', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, approved(500))
    scene.posted(sale, -500)
    scene.posted({ ...sale, key: `${sale.key}0` }, -500)
    expect(scene.crimes()).toEqual(['posted and never asked', 'purses not as the terminals say'])
  })

  test('finds an overdraft, also one that was made good since', () => {
    const scene = new Scene()
    scene.posted(scene.sent('purchase', 12_000, approved(12_000)), -12_000)
    scene.posted(scene.sent('deposit', 5000, approved(5000)), 5000)
    expect(scene.crimes()).toEqual(['overdrafts'])
  })

  test('finds a hold that nobody released', () => {
    const scene = new Scene()
    const hold = scene.sent('authorize', 500, approved(500))
    scene.posted(hold, -500, { heldBy: 500 })
    scene.posted(scene.sent('reversal', 500, approved(500), hold), 500)
    expect(scene.crimes()).toEqual(['holds not as the terminals say', 'purses not as the terminals say'])
  })

  test('finds a bread day that was drawn twice', () => {
    const scene = new Scene()
    scene.posted(scene.sent('bread', 20, approved(20)), -1, { purseId: BREAD, marks: 4 })
    scene.posted(scene.sent('bread', 20, approved(20)), -1, { purseId: BREAD, marks: 4 })
    expect(scene.crimes()).toEqual(['bread days drawn twice'])
  })

  test('finds a reversal that is refused, and a message that is never answered', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, approved(500))
    scene.posted(sale, -500)
    scene.sent('refund', 500, declined('25'), sale)
    scene.sent('deposit', 500, undefined)
    expect(scene.crimes()).toEqual(['follow-ups refused', 'never answered'])
  })

  test('asks the ledger where a terminal broke before it was told', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, undefined)
    sale.abandoned = true
    scene.posted(sale, -500)
    scene.sent('purchase', 300, undefined).abandoned = true
    expect(scene.findings()).toEqual([])
  })

  test('says in the report what the terminal saw, what the ledger holds, and what went wrong at that time', () => {
    const scene = new Scene()
    const sale = scene.sent('purchase', 500, approved(500))
    const fault = { kind: 'kill Postgres', part: 'Postgres', fromMs: 900, healedMs: 2000, recoveredMs: 2500 }
    const later = { kind: 'kill Redis', part: 'Redis', fromMs: 9000, healedMs: 9500, recoveredMs: 9600 }
    const report = chaosReport({
      seed: 1,
      seconds: 10,
      switches: 2,
      terminals: 1,
      journal: scene.journal.all,
      records: [fault, later],
      leftOut: [],
      findings: scene.findings(),
    })
    expect(report.ok).toBe(false)
    expect(report.crimes['approvals lost']).toBe(1)
    expect(report.findings[0]).toMatchObject({ of: sale.key, ledgerHolds: 'nothing' })
    expect(report.findings[0]?.terminalSaw).toMatch(/^purchase of 500 to switch 0 at 00:00:01\.000; 00 500 A from switch 0/)
    expect(report.findings[0]?.faultsThen).toEqual(['kill Postgres (Postgres) 00:00:00.900 to 00:00:02.000'])
    expect(reportText(report)).toContain('     1 approvals lost')
  })
})

/** A journal and a ledger that a test writes line by line. */
class Scene {
  readonly journal = new Journal()
  readonly #decisions: Decision[] = []
  readonly #purses = new Map<number, PurseRow>([
    [CASH, { balance: OPENING, held: 0 }],
    [BREAD, { balance: 100, held: 0 }],
  ])
  readonly #opening = new Map(this.#purses)
  readonly #holds = new Map<string, number>()

  sent(kind: MessageKind, amount: number, told: Answer | undefined, original?: Sent): Sent {
    const sent: Sent = {
      key: `00000818001|${shop.terminalId}|1127090000|${this.journal.all.length + 1}|2`,
      kind,
      terminal: shop,
      holder,
      amount,
      loaves: kind === 'bread' ? 1 : 0,
      original,
      sendings: [{ atMs: 1000, host: 0 }],
      answers: told === undefined ? [] : [told],
      told,
      abandoned: false,
      reversedBy: undefined,
      completedBy: undefined,
    }
    this.journal.add(sent)
    return sent
  }

  posted(
    { key, kind, amount, told, original }: Sent,
    moved: number,
    but: { approved?: number; heldBy?: number; purseId?: number; marks?: number; suffix?: string } = {},
  ): void {
    const purseId = but.purseId ?? CASH
    const { balance, held } = this.#purses.get(purseId)!
    const row = { balance: balance + moved, held: held + (but.heldBy ?? 0) }
    this.#purses.set(purseId, row)
    if (but.heldBy !== undefined) this.#holds.set(key, but.heldBy)
    this.#decisions.push({
      key: key + (but.suffix ?? ''),
      kind: KINDS[kind] ?? KIND.purchase,
      responseCode: '00',
      approved: but.approved ?? amount,
      purseId,
      approvalCode: told?.approvalCode ?? 'A',
      originalKey: original?.key,
      posted: true,
      cycle: '2026-11-01',
      marks: but.marks ?? 0,
      availableAfter: row.balance,
      heldAfter: row.held,
    })
  }

  findings(): Finding[] {
    const evidence: Evidence = {
      journal: this.journal.all,
      ledger: { decisions: this.#decisions, purses: this.#purses, holds: this.#holds },
      opening: this.#opening,
    }
    return judge(evidence)
  }

  crimes(): string[] {
    return [...new Set(this.findings().map(({ crime }) => crime))]
  }
}

const KINDS: Partial<Record<MessageKind, number>> = {
  refund: KIND.refund,
  reversal: KIND.reversal,
  complete: KIND.completion,
  authorize: KIND.authorization,
}

function approved(amount: number): Answer {
  return { atMs: 1200, host: 0, responseCode: '00', amount, approvalCode: 'A' }
}

function declined(responseCode: string): Answer {
  return { atMs: 1200, host: 0, responseCode, amount: 0, approvalCode: undefined }
}

function terminalOf(terminalClass: string): DemoTerminal {
  return demoTerminals().find((terminal) => terminal.class === terminalClass)!
}
