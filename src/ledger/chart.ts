/** Registers the programme's units and purses in the ledger, by which the auditor judges. */
import { Client } from 'pg'
import { ConfigError } from '../config.ts'
import type { Programme } from '../programmeParameters.ts'

/**
 * Adds what the ledger does not know yet. What it knows can not be changed: it has books in it.
 *
 * @throws ConfigError where the programme says something else of a unit or purse than the ledger
 */
export async function registerChart(databaseUrl: string, { units, purses }: Programme): Promise<void> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'sarf chart' })
  await client.connect()
  try {
    for (const { number, name } of units)
      await client.query('INSERT INTO unit (number, name) VALUES ($1, $2) ON CONFLICT DO NOTHING', [number, name])
    for (const { kind, name, unit, account, heldAccount } of purses)
      await client.query(
        'INSERT INTO purse_kind (kind, name, unit, account, held_account) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING',
        [kind, name, unit.number, account, heldAccount ?? null],
      )
    const { rows } = await client.query<{ text: string }>(
      `SELECT concat_ws(' ', k.kind, k.name, u.number, u.name, k.account, k.held_account) AS text FROM purse_kind k JOIN unit u ON u.number = k.unit`,
    )
    const known = new Set(rows.map((row) => row.text))
    for (const { kind, name, unit, account, heldAccount } of purses) {
      const text = [kind, name, unit.number, unit.name, account, heldAccount].filter((part) => part !== undefined).join(' ')
      if (!known.has(text))
        throw new ConfigError(
          `the ledger knows the purse ${name} otherwise (kind, name, unit, accounts: ${text} is new); purses with books in them cannot be changed`,
        )
    }
  } finally {
    await client.end()
  }
}
