import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { developmentToken, tokenVerifier, TokensUnavailable } from '../../../src/admin/access/tokens.ts'
import { systemClock } from '../../../src/clock.ts'

const access = { kind: 'development', issuer: 'sarf development', audience: 'sarf' } as const
const token = (): Promise<string> =>
  developmentToken({ access, name: 'nadia', roles: ['auditor'], nowMs: Date.now(), seconds: 60 })

async function withIssuer(status: number, work: (jwksUrl: string) => Promise<void>): Promise<void> {
  const server = createServer((_request, response) => response.writeHead(status).end('{"keys":[]}')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await work(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/jwks`)
  } finally {
    server.close()
  }
}

it('a token that cannot be verified, because its issuer does not answer, is no bad token', async () => {
  await withIssuer(503, async (jwksUrl) => {
    const verifier = await tokenVerifier({ ...access, kind: 'jwks', jwksUrl }, systemClock)
    await expect(verifier.verify(await token())).rejects.toThrow(TokensUnavailable)
  })
})

it('a token of a key that the issuer does not have is a bad one, and so is what is none', async () => {
  await withIssuer(200, async (jwksUrl) => {
    const verifier = await tokenVerifier({ ...access, kind: 'jwks', jwksUrl }, systemClock)
    expect(await verifier.verify(await token())).toBeUndefined()
    for (const none of ['', 'a.b.c', '....', 'eyJhbGciOiJFZERTQSJ9.e30.AA'])
      expect(await verifier.verify(none), none).toBeUndefined()
  })
})
