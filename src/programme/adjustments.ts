/** An entitlement of a household is put right, up or down, within the month for which it is open: one officer proposes, another agrees. */
import { randomUUID } from 'node:crypto'
import { assert } from '../assert.ts'
import { cairoDay } from '../clock.ts'
import { transfer } from '../decision/transfers.ts'
import { lockPurses, readCardsOfHousehold } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { entitlementPurse, postAtDesk } from '../ledger/programme/postings.ts'
import type { Programme, PurseDefinition } from '../programmeParameters.ts'
import { entitlementsIssued, purseAccount } from '../purse/chart.ts'
import { monthOf } from '../purse/entitlement.ts'
import { KIND } from '../transaction/transaction.ts'
import type { ProposalKind } from './proposals.ts'
import { hasMonths } from './statement.ts'

export interface Adjustment {
  readonly householdId: number
  /** Name of a household's purse. */
  readonly purse: string
  /** Units of the purse, not zero; below zero they are taken away. */
  readonly units: number
}

/** What can be seen when it is proposed is refused at once. @returns the purse's definition */
export async function checkAdjustment(
  tx: SqlTransaction,
  { purses }: Pick<Programme, 'purses'>,
  { householdId, purse }: Adjustment,
): Promise<Outcome<PurseDefinition>> {
  const definition = purses.find(({ name, owner }) => name === purse && owner === 'household')
  if (definition === undefined)
    return refused(
      'invalid',
      'no-such-purse',
      `It is one of ${purses.flatMap(({ name, owner }) => (owner === 'household' ? [name] : [])).join(', ')}.`,
      '/purse',
    )
  return (await entitlementPurse(tx, householdId, definition.kind)) === undefined
    ? refused('not-found', 'no-such-household', 'The programme has no such household, or it has no such purse.')
    : done(definition)
}

export function adjustmentKind(programme: Programme): ProposalKind {
  return {
    kind: 'adjustment',
    permission: 'entitlement:adjust',
    execute: async (tx, body) => adjust(tx, programme, body as unknown as Adjustment),
  }
}

async function adjust(
  tx: SqlTransaction,
  programme: Programme,
  adjustment: Adjustment,
): Promise<Outcome<Readonly<Record<string, unknown>>>> {
  const { householdId, units } = adjustment
  const checked = await checkAdjustment(tx, programme, adjustment)
  if (!checked.ok) return checked
  const { kind, unit, account, name } = checked.value
  await lockPurses(tx, householdId)
  const purse = await entitlementPurse(tx, householdId, kind)
  assert(purse !== undefined, 'a purse does not go away')
  // What is in a purse that no month has opened yet lapses with its first opening.
  if (purse.cycle === null && hasMonths(programme, checked.value)) return monthNotOpened()
  const own = purseAccount(account, purse.id)
  const amount = Math.abs(units)
  const guard = await postAtDesk(tx, {
    kind: KIND.adjustment,
    key: `adjustment|${randomUUID()}`,
    cardToken: null,
    purseId: purse.id,
    delta: units,
    amount,
    quantity: null,
    transfers:
      units > 0 ? transfer(unit.number, entitlementsIssued, own, amount) : transfer(unit.number, own, entitlementsIssued, amount),
    cycle: purse.cycle === null ? null : monthOf(cairoDay(tx.nowMs)),
  })
  switch (guard) {
    case undefined:
      break
    case 'balance':
      return refused('conflict', 'insufficient-balance', 'The purse holds less than what is to be taken away. Nothing was done.')
    case 'gate':
      return monthNotOpened()
    default:
      assert(false, `an adjustment was refused: ${guard}`)
  }
  for (const { token } of await readCardsOfHousehold(tx, householdId)) tx.changedCards.add(token)
  await tx.emit({ kind: 'entitlement.adjusted', householdId, data: { purse: name, units } })
  return done({ balance: purse.balance + units })
}

function monthNotOpened(): Outcome<never> {
  return refused(
    'conflict',
    'month-not-opened',
    'The purse has not been opened for this month yet; it is within minutes. Nothing was done.',
  )
}
