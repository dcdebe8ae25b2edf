/** `open_purses` (src/ledger/migrations/0004_open_purses.sql) in plain TypeScript: opens purses of one kind for a month, each once. */
import type { FakeTables, PurseRow, TransferRow } from './fakeTables.ts'
import { readArray } from './sqlArrays.ts'

const OPENING = 16
const ISSUED = 9000

/** @returns how many it opened */
export function openPurses(tables: FakeTables, values: readonly unknown[]): number {
  const [, now, month, kind, ids, counts, entitlements, account, closing, intoKind, intoAccount, rate, unit, intoUnit] = values
  const issues = numbers(entitlements)
  const monthText = String(month)
  let opened = 0
  for (const id of numbers(ids).sort((a, b) => a - b)) {
    const purse = tables.purses.get(id)
    const household = tables.households.get(purse?.householdId ?? 0)
    if (purse === undefined || household === undefined || purse.kind !== Number(kind)) continue
    if (purse.cycle !== null && purse.cycle !== monthBefore(monthText)) continue
    const into = intoKind === null ? undefined : purseOfHousehold(tables, household.id, Number(intoKind))
    if (intoKind !== null && purse.balance > 0 && into === undefined) continue
    const members = counts === 'ration' ? household.rationMembers : household.breadMembers
    const entitlement = issues[Math.min(members, issues.length - 1)] ?? 0
    const rest = purse.balance
    const version = rest > 0 || entitlement > 0 ? purse.version + 1 : null
    const gets = rest > 0 ? into : undefined
    const intoBalance = gets === undefined ? null : gets.balance + rest * Number(rate)
    const intoVersion = gets === undefined ? null : gets.version + 1
    const won = tables.addDecision({
      key: `opening|${monthText.slice(0, 7)}|${id}`,
      keyDate: monthText,
      mti: 0,
      kind: OPENING,
      body: null,
      cardToken: null,
      terminalId: null,
      merchantId: null,
      rrn: null,
      requested: entitlement,
      approved: entitlement,
      responseCode: '00',
      reason: null,
      approvalCode: null,
      purseId: id,
      purseVersion: version,
      availableAfter: entitlement,
      heldAfter: purse.held,
      fromSuspense: null,
      decidedAt: String(now),
      originalKey: null,
      originalDate: null,
      quantity: null,
      cycle: monthText,
      marks: null,
      items: null,
      secondPurseId: gets?.id ?? null,
      secondVersion: intoVersion,
      secondAvailableAfter: intoBalance,
      stoodInAt: null,
    })
    if (!won) continue
    const post = (ordinal: number, row: Omit<TransferRow, 'ordinal' | 'keyDate'>): void => {
      if (row.amount > 0) tables.transfers.push({ ...row, ordinal, keyDate: monthText })
    }
    const own = { purseId: id, purseVersion: version ?? 0, unit: Number(unit) }
    post(1, { ...own, debitCode: Number(account), debitOwner: id, creditCode: Number(closing), creditOwner: 0, amount: rest })
    post(2, { ...own, debitCode: ISSUED, debitOwner: 0, creditCode: Number(account), creditOwner: id, amount: entitlement })
    if (gets !== undefined) {
      const owner = { debitCode: ISSUED, debitOwner: 0, creditCode: Number(intoAccount), creditOwner: gets.id }
      post(3, { purseId: gets.id, purseVersion: intoVersion ?? 0, unit: Number(intoUnit), ...owner, amount: rest * Number(rate) })
      gets.balance = intoBalance ?? 0
      gets.version = intoVersion ?? 0
    }
    purse.balance = entitlement
    purse.version = version ?? purse.version
    purse.gate++
    purse.cycle = monthText
    purse.members = members
    purse.marks = 0
    purse.items = null
    opened++
  }
  return opened
}

function purseOfHousehold(tables: FakeTables, household: number, kind: number): PurseRow | undefined {
  return tables.pursesOf(household).find((purse) => purse.kind === kind && purse.personId === null)
}

function monthBefore(month: string): string {
  return new Date(Date.parse(month) - 86_400_000).toISOString().slice(0, 8) + '01'
}

function numbers(list: unknown): number[] {
  return (readArray(list) ?? []).filter((one) => one !== null).map(Number)
}
