import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { beforeAll, expect, it } from 'vitest'
import { developmentToken } from '../../src/admin/access/tokens.ts'
import { startProgrammeApi, type ProgrammeApi } from '../support/programmeApi.ts'

let api: ProgrammeApi
let authorization: string

beforeAll(async () => {
  api = await startProgrammeApi({ configure: (config) => ({ ...config, http: { ...config.http, requestMs: 300 } }) })
  const { access } = api.running.config
  if (access.kind !== 'development') throw new Error('tests make their tokens themselves')
  const roles = ['administrator', 'acquirer'] as const
  authorization = `Bearer ${await developmentToken({ access, name: 'slow', roles, nowMs: api.running.clock.now(), seconds: 60 })}`
})

/** Sends the head of a request and the beginning of its body. */
function begin(path: string, type: string, body: string): { outgoing: ClientRequest; answer: Promise<IncomingMessage> } {
  const headers = { authorization, 'content-type': type, 'idempotency-key': 'slow-1', 'transfer-encoding': 'chunked' }
  const outgoing = request(api.url + path, { method: 'POST', headers })
  outgoing.on('error', () => undefined)
  outgoing.write(body)
  return { outgoing, answer: once(outgoing, 'response').then(([response]) => response as IncomingMessage) }
}

it('ends a request that does not arrive in time, and lets a file of orders take its time', async () => {
  const file = begin('/v1/card-orders', 'text/csv', 'national_id,place_id\n')
  const slow = begin('/v1/places', 'application/json', '{"placeId":')
  const late = await slow.answer
  expect([late.statusCode, late.headers['content-type'], late.headers.connection]).toEqual([
    408,
    'application/problem+json',
    'close',
  ])
  // The file has been under way for longer.
  file.outgoing.end('28005170300015,post-03-1\n')
  expect((await file.answer).statusCode).toBe(201)
})
