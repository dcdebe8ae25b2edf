/** Reads terminals with their merchants. */
import type { Terminal } from '../transaction/terminal.ts'
import type { LedgerConnection, Statement } from './connection.ts'

interface TerminalRow {
  readonly id: string
  readonly terminal_id: string
  readonly class: string
  readonly state: string
  readonly merchant_id: string
  readonly acceptor_id: string
  readonly category: string
  readonly merchant_state: string
  readonly wallet: boolean
  readonly offline: boolean
  readonly governorate: number
}

const READ_TERMINALS: Statement = {
  name: 'read_terminals',
  text: `
    SELECT t.id, t.terminal_id, t.class, t.state, t.wallet, t.offline, m.id AS merchant_id, m.acceptor_id, m.category, m.governorate,
      m.state AS merchant_state
    FROM terminal t JOIN merchant m ON m.id = t.merchant_id
    WHERE t.terminal_id = ANY ($1::text[])`,
}

/** @returns terminals by DE 41; an unknown one is absent */
export async function readTerminals(
  connection: LedgerConnection,
  terminalIds: readonly string[],
): Promise<Map<string, Terminal>> {
  const { rows } = await connection.run<TerminalRow>(READ_TERMINALS, [terminalIds])
  return new Map(
    rows.map((row) => [
      row.terminal_id,
      {
        id: Number(row.id),
        terminalId: row.terminal_id,
        class: row.class,
        state: row.state,
        wallet: row.wallet,
        offline: row.offline,
        merchant: {
          id: Number(row.merchant_id),
          acceptorId: row.acceptor_id,
          category: row.category,
          state: row.merchant_state,
          governorate: row.governorate,
        },
      },
    ]),
  )
}
