"""Trade bills (交易账单): one text file a day and merchant, with every app's payments and refunds. The file is the
same in both generations; how it is fetched, and whether it can be believed as it is, is theirs."""
