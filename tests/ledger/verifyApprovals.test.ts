import { expect, it } from 'vitest'
import { readApprovals, type LedgerApproval } from '../../src/ledger/verifyApprovals.ts'
import { demoTerminals } from '../../src/programme/demo.ts'
import { startTestSwitch } from '../support/switch.ts'

it('reads approvals of the terminals and the time that are asked for, with what was transferred', async () => {
  const target = await startTestSwitch()
  const link = await target.connect('atm')
  const card = await target.openCard({ balance: 10_000 })
  const buy = async (fields: Readonly<Record<number, string>>) => await link.exchange('0200', { 2: card.pan, ...fields })
  const first = await buy({ 4: '000000000700' })
  const second = await buy({ 4: '000000000300' })
  const declined = await buy({ 4: '000000009001' })
  expect([first, second, declined].map(({ answer }) => answer.text(39))).toEqual(['00', '00', '51'])

  const keyDate = new Date().toISOString().slice(0, 10)
  const read = async (terminalId: string, time: string): Promise<LedgerApproval[]> => {
    const found: LedgerApproval[] = []
    await readApprovals(target.databaseUrl, {
      terminalIds: [terminalId],
      from: { keyDate, time },
      onApproval: (approval) => found.push(approval),
    })
    return found.toSorted((a, b) => a.approved - b.approved)
  }
  const terminalId = first.sent.fields[41]!
  const common = { responseCode: '00', purseId: card.purseId }
  expect(await read(terminalId, '0101000000')).toMatchObject([
    { ...common, approved: 300, transferred: 300 },
    { ...common, approved: 700, transferred: 700 },
  ])
  expect(await read(terminalId, '1231235959')).toEqual([])
  expect(await read('POS00999', '0101000000')).toEqual([])
})

it('reads what an entitlement purse gave apart from the money, and that of a second purse with it', async () => {
  const target = await startTestSwitch()
  const link = await target.connect('atm')
  const { head, purses } = await target.openHousehold({ loaves: 300, cash: 10_000 })
  const wallet = demoTerminals().find((terminal) => terminal.wallet)!
  const { answer } = await link.exchange('0200', {
    2: head.pan,
    3: '009700',
    4: '000000000100',
    18: wallet.category,
    41: wallet.terminalId,
    42: wallet.acceptorId,
    48: 'LV0015DY0011',
  })
  expect(answer.text(39)).toBe('00')
  const found: LedgerApproval[] = []
  await readApprovals(target.databaseUrl, {
    terminalIds: [wallet.terminalId],
    from: { keyDate: new Date().toISOString().slice(0, 10), time: '0101000000' },
    onApproval: (approval) => found.push(approval),
  })
  // Five loaves: 5.25 from the treasury, 1.00 from the wallet.
  expect(found).toMatchObject([{ purseId: purses.bread, approved: 100, units: 5, transferred: 625 }])
})
