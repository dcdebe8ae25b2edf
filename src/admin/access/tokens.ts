/**
 * Bearer tokens (RFC 6750): JWTs (RFC 7519) of an issuer whose public keys are known as a JWKS (RFC 7517). Claims: `sub` who it is, `roles` a list of
 * the names in roles.ts, `place` where somebody works. In development the switch trusts an issuer whose key everybody knows; see `developmentToken`.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  exportJWK,
  jwtVerify,
  SignJWT,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose'
import type { Clock } from '../../clock.ts'
import type { AccessConfig } from '../../config.ts'
import type { Actor } from '../../ledger/programme/desk.ts'
import { ROLES, type Role } from './roles.ts'

export interface TokenVerifier {
  /** @returns who it is; undefined where the token is not good for this switch now */
  verify(token: string): Promise<Actor | undefined>
}

/** Signatures that need a private key: nobody who can verify a token can make one. */
const ALGORITHMS = ['EdDSA', 'ES256', 'ES384', 'PS256', 'RS256']
const CLOCK_TOLERANCE_S = 5
const SUBJECT = /^[A-Za-z0-9][A-Za-z0-9._@:-]{0,63}$/
const PLACE = /^[a-z0-9][a-z0-9-]{1,39}$/

export async function tokenVerifier(access: AccessConfig, clock: Clock): Promise<TokenVerifier> {
  if (access.kind === 'closed') return { verify: () => Promise.resolve(undefined) }
  const keys = access.kind === 'development' ? await developmentKeySet() : createRemoteJWKSet(new URL(access.jwksUrl))
  const { issuer, audience } = access
  return {
    async verify(token) {
      const payload = await verified(token, keys, { issuer, audience, nowMs: clock.now() })
      return payload === undefined ? undefined : actorOf(payload)
    },
  }
}

/** Whether a token is good cannot be found out now: its issuer's keys cannot be read. */
export class TokensUnavailable extends Error {
  override readonly name = 'TokensUnavailable'
}

/** What jose says of a token itself, or of a key that the issuer does not have; anything else is of the way to the issuer. */
function isOfToken(error: unknown): boolean {
  return error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && error.code !== errors.JOSEError.code
}

async function verified(
  token: string,
  keys: JWTVerifyGetKey,
  { issuer, audience, nowMs }: { readonly issuer: string; readonly audience: string; readonly nowMs: number },
): Promise<JWTPayload | undefined> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(nowMs),
      requiredClaims: ['sub', 'exp', 'roles'],
    })
    return payload
  } catch (error) {
    if (isOfToken(error)) return undefined
    throw new TokensUnavailable('the keys of the issuer cannot be read', { cause: error })
  }
}

function actorOf({ sub, roles, place, exp }: JWTPayload): Actor | undefined {
  if (sub === undefined || !SUBJECT.test(sub) || !Array.isArray(roles)) return undefined
  const known = ROLES.filter((role) => roles.includes(role))
  if (known.length === 0) return undefined
  const actor = { name: sub, roles: known, ...(exp === undefined ? {} : { untilMs: (exp + CLOCK_TOLERANCE_S) * 1000 }) }
  if (place === undefined) return actor
  return typeof place === 'string' && PLACE.test(place) ? { ...actor, place } : undefined
}

/** RFC 8410: an Ed25519 private key as PKCS #8, its 32 bytes known to everybody. */
const DEVELOPMENT_KEY = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from('sarf development, not a secret!!')]),
  format: 'der',
  type: 'pkcs8',
})

async function developmentKeySet(): Promise<JWTVerifyGetKey> {
  const jwk = await exportJWK(createPublicKey(DEVELOPMENT_KEY))
  return createLocalJWKSet({ keys: [{ ...jwk, alg: 'EdDSA', use: 'sig' }] })
}

export interface DevelopmentToken {
  readonly access: Extract<AccessConfig, { readonly kind: 'development' }>
  readonly name: string
  readonly roles: readonly Role[]
  readonly place?: string | undefined
  readonly nowMs: number
  readonly seconds: number
}

/** A token that a switch outside production takes. */
export async function developmentToken({ access, name, roles, place, nowMs, seconds }: DevelopmentToken): Promise<string> {
  const issuedAt = Math.floor(nowMs / 1000)
  return new SignJWT({ roles, ...(place === undefined ? {} : { place }) })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setIssuer(access.issuer)
    .setAudience(access.audience)
    .setSubject(name)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + seconds)
    .sign(DEVELOPMENT_KEY)
}
