-- Who completed an item of a queue, and who has it open.
alter table annotation_queue_items add column annotator_user_id text references users (id) on delete set null;
alter table annotation_queue_items add column locked_by_user_id text references users (id) on delete set null;
alter table annotation_queue_items add column locked_at integer;
