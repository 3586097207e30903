raise RuntimeError('\ud800\x1b[2J\u202e<script>=HYPERLINK(1)')
