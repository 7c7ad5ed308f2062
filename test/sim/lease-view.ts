import type { AgentMessage, CoordinatorMessage } from '../../agent/session/message.ts';

/** Until when an agent may think that its leases last, reckoned from nothing but what it said and heard. */
export class LeaseView {
  readonly #expiresAt = new Map<string, number>();
  #registeredAt = 0;
  #ttlMs = 0;
  #unanswered: number[] = [];

  /** 0 where the agent knows of no such lease. */
  expiresAt(token: string): number {
    return this.#expiresAt.get(token) ?? 0;
  }

  said(message: AgentMessage, now: number): void {
    if (message.kind === 'heartbeat') this.#unanswered.push(now);
    if (message.kind === 'reject') this.#expiresAt.delete(message.token);
    if (message.kind !== 'register') return;
    this.#registeredAt = now;
    this.#unanswered = [];
  }

  heard(message: CoordinatorMessage, now: number): void {
    switch (message.kind) {
      case 'registered':
        this.#ttlMs = message.leaseTtlMs;
        for (const { token, verdict } of message.held) this.#take(token, verdict, this.#registeredAt);
        return;
      case 'offer':
        if (!this.#expiresAt.has(message.token)) this.#expiresAt.set(message.token, now + message.leaseTtlMs);
        return;
      case 'heartbeat-reply': {
        const sentAt = this.#unanswered.shift();
        for (const { token, verdict } of message.leases) this.#take(token, verdict, sentAt);
        return;
      }
      case 'offer-withdrawn':
      case 'result-reply':
        this.#expiresAt.delete(message.token);
        return;
      case 'refused':
      case 'cancel':
      case 'log-ack':
      case 'drain':
        return;
      default:
        message satisfies never;
    }
  }

  #take(token: string, verdict: 'continue' | 'cancel' | 'lost', since: number | undefined): void {
    if (verdict === 'lost') this.#expiresAt.delete(token);
    const known = this.#expiresAt.get(token);
    if (verdict === 'continue' && since !== undefined && known !== undefined) {
      this.#expiresAt.set(token, Math.max(known, since + this.#ttlMs));
    }
  }
}
