import { openPostgresRowStore } from "../../projections/postgres-row-store.ts";
import { rowStoreContract } from "../contracts/row-store.contract.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

rowStoreContract("postgres", async () => openPostgresRowStore(await (await newSharedSchema()).open()));
