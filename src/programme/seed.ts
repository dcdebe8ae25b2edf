/** Makes a programme of a given size: households with a card and a cash purse each, merchants and terminals, opening balances posted. */
import { cardToken, maskPan } from '../card.ts'
import { utcDay } from '../clock.ts'
import { bulkLoad, type BulkTable, type CopyRow } from '../ledger/bulkLoad.ts'
import { UNIT } from '../money.ts'
import { ACCOUNT_CODE, PURSE_KIND } from '../purse/chart.ts'
import { KIND } from '../transaction/transaction.ts'
import { demoCard, demoTerminals } from './demo.ts'

export interface SeedOptions {
  readonly households: number
  readonly lookupKey: Uint8Array
  readonly nowMs: number
  /** Called with the number of rows written since the last call. */
  readonly onRows?: (count: number) => void
}

const SHARD = 0
const GOVERNORATES = 27

/** Rows that `seedProgramme` writes for a number of households. */
export function seedRows(households: number): number {
  const terminals = demoTerminals()
  return households * 5 + terminals.length + new Set(terminals.map((terminal) => terminal.merchantId)).size
}

export function purseIdOfHousehold(household: number): number {
  return household * 10 + PURSE_KIND.cash
}

/**
 * The opening balance is an ordinary posting (bank to purse, version 1), so that the auditor's checks hold from the first row.
 *
 * @returns false where the database has households already: nothing was written
 */
export async function seedProgramme(databaseUrl: string, options: SeedOptions): Promise<boolean> {
  return await bulkLoad(databaseUrl, {
    mayLoad: async (count) => (await count('SELECT count(*) FROM household')) === 0,
    partitionsFrom: utcDay(options.nowMs),
    tables: [...registryTables(), ...householdTables(options)],
    ...(options.onRows === undefined ? {} : { onRows: options.onRows }),
  })
}

function registryTables(): BulkTable[] {
  const terminals = demoTerminals()
  const merchants = new Map(terminals.map((terminal) => [terminal.merchantId, terminal]))
  return [
    {
      into: 'merchant (id, acceptor_id, name, category)',
      rows: () =>
        [...merchants.values()].map(({ merchantId, acceptorId, merchantName, category }) => [
          merchantId,
          acceptorId,
          merchantName,
          category,
        ]),
    },
    {
      into: 'terminal (id, terminal_id, merchant_id, class, state)',
      rows: () =>
        terminals.map((terminal) => [terminal.id, terminal.terminalId, terminal.merchantId, terminal.class, terminal.state]),
    },
  ]
}

function householdTables({ households, lookupKey, nowMs }: SeedOptions): BulkTable[] {
  const keyDate = utcDay(nowMs)
  const decidedAt = new Date(nowMs).toISOString()
  const each = (row: (household: number) => CopyRow): (() => Iterable<CopyRow>) =>
    function* () {
      for (let household = 1; household <= households; household++) yield row(household)
    }
  return [
    { into: 'household (shard, id, governorate)', rows: each((household) => [SHARD, household, (household % GOVERNORATES) + 1]) },
    {
      into: 'purse (shard, id, kind, unit, household_id, balance, version)',
      rows: each((household) => [
        SHARD,
        purseIdOfHousehold(household),
        PURSE_KIND.cash,
        UNIT.EGP,
        household,
        demoCard(household).balance,
        1,
      ]),
    },
    {
      into: 'card (shard, token, masked, household_id, cash_purse, state, expiry)',
      rows: each((household) => {
        const { pan, state, expiry } = demoCard(household)
        return [SHARD, cardToken(pan, lookupKey), maskPan(pan), household, purseIdOfHousehold(household), state, expiry]
      }),
    },
    {
      into:
        '"authorization" (purse_id, purse_version, requested, approved, available_after, held_after, decided_at, key_date, shard, mti, kind, key, ' +
        'response_code)',
      rows: each((household) => {
        const { balance } = demoCard(household)
        const purseId = purseIdOfHousehold(household)
        return [
          purseId,
          1,
          balance,
          balance,
          balance,
          0,
          decidedAt,
          keyDate,
          SHARD,
          0,
          KIND.credit,
          `opening|${String(purseId)}`,
          '00',
        ]
      }),
    },
    {
      into: 'transfer (purse_id, purse_version, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)',
      rows: each((household) => {
        const purseId = purseIdOfHousehold(household)
        const { balance } = demoCard(household)
        return [purseId, 1, 0, purseId, balance, keyDate, SHARD, 1, ACCOUNT_CODE.bank, ACCOUNT_CODE.cashAvailable, UNIT.EGP]
      }),
    },
  ]
}
