/** What only webhook endpoints are refused with; part of the catalogue. */
export const endpointProblems = {
  endpoint_limit: {
    status: 409,
    title: "Too many endpoints",
    description: "The workspace has as many webhook endpoints as it can have. Delete one first.",
  },
  endpoint_deleted: {
    status: 409,
    title: "Endpoint deleted",
    description: "The webhook endpoint was deleted; nothing follows that.",
    permanent: true,
  },
  secret_limit: {
    status: 409,
    title: "Too many signing secrets",
    description:
      "As many secrets sign for the endpoint as can at once. End their overlap, or wait for its end.",
  },
  target_not_allowed: {
    status: 422,
    title: "Target not allowed",
    description: "Webhooks go to `https` and public addresses, and to those that the operator allows.",
  },
  header_not_allowed: {
    status: 422,
    title: "Header not allowed",
    description: "The ledger says this header itself, or nobody may: an endpoint's own has another name.",
  },
} as const;
